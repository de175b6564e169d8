package httplimit_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/limiter/httplimit"
)

func Example() {
	m, err := httplimit.New(httplimit.Options{
		Limits: []httplimit.Limit{
			{Name: "burst", Limit: &limiter.Limit{Count: 10, Window: limiter.Window{Length: time.Second}}},
			{Name: "daily", Limit: &limiter.Limit{Count: 2, Window: limiter.Window{Calendar: limiter.Day}}},
		},
		Now: func() time.Time { return time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC) }, // usually left out
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := m.Handle(http.FileServer(http.Dir(".")))

	for range 3 {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", "/example_test.go", nil))
		fmt.Println(w.Code, w.Header().Get("X-RateLimit-Remaining"), w.Header().Get("RateLimit-Policy"))
	}
	// Output:
	// 200 1 "burst";q=10;w=1, "daily";q=2;w=86400
	// 200 0 "burst";q=10;w=1, "daily";q=2;w=86400
	// 429 0 "burst";q=10;w=1, "daily";q=2;w=86400
}
