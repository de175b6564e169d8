package httplimit_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/limiter/httplimit"
)

var t0 = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// A clock is what a test says it is.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func perMinute(n int64) *limiter.Limit {
	return &limiter.Limit{Count: n, Window: limiter.Window{Length: time.Minute}}
}

var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	io.WriteString(w, "hello")
})

func handler(t *testing.T, o httplimit.Options, next http.Handler) http.Handler {
	t.Helper()
	m, err := httplimit.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return m.Handle(next)
}

func get(h http.Handler, addr string) *http.Response {
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = addr
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestFields(t *testing.T) {
	c := &clock{t0.Add(1500 * time.Millisecond)}
	shadow := perMinute(1)
	shadow.Shadow = true
	h := handler(t, httplimit.Options{Now: c.Now, Limits: []httplimit.Limit{
		{Name: "minute", Limit: perMinute(2)},
		{Name: "trial", Limit: shadow},
		{Name: "hour", Limit: &limiter.Limit{Count: 100, Window: limiter.Window{Length: time.Hour}}},
	}}, hello)
	for i, want := range []struct {
		status           int
		state            string
		remaining, retry string
	}{
		{200, `"minute";r=1;t=59, "hour";r=99;t=3599`, "1", ""},
		{200, `"minute";r=0;t=59, "hour";r=98;t=3599`, "0", ""},
		{429, `"minute";r=0;t=59, "hour";r=98;t=3599`, "0", "59"},
	} {
		res := get(h, "192.0.2.1:1234")
		if res.StatusCode != want.status {
			t.Errorf("request %d: status %d, want %d", i, res.StatusCode, want.status)
		}
		for name, value := range map[string]string{
			"RateLimit-Policy":      `"minute";q=2;w=60, "hour";q=100;w=3600`,
			"RateLimit":             want.state,
			"X-RateLimit-Limit":     "2",
			"X-RateLimit-Remaining": want.remaining,
			"X-RateLimit-Reset":     "59",
			"Retry-After":           want.retry,
		} {
			if got := res.Header.Get(name); got != value {
				t.Errorf("request %d: %s: %s, want %s", i, name, got, value)
			}
		}
	}
	c.now = t0.Add(time.Minute)
	if res := get(h, "192.0.2.1:1234"); res.StatusCode != 200 {
		t.Errorf("in the next window: status %d, want 200", res.StatusCode)
	}
}

func TestRefusal(t *testing.T) {
	c := &clock{t0}
	h := handler(t, httplimit.Options{Now: c.Now, Limits: []httplimit.Limit{
		{Name: "none", Limit: perMinute(0)},
		{Name: "some", Limit: perMinute(5)},
	}}, hello)
	res := get(h, "192.0.2.1:1234")
	if got, want := res.Header.Get("Content-Type"), "application/problem+json"; got != want {
		t.Errorf("Content-Type: %s, want %s", got, want)
	}
	var p struct {
		Type     string
		Status   int
		Detail   string
		Violated []string `json:"violated-policies"`
	}
	if err := json.NewDecoder(res.Body).Decode(&p); err != nil {
		t.Fatal(err)
	}
	if p.Status != 429 || !strings.HasSuffix(p.Type, "#quota-exceeded") || len(p.Violated) != 1 || p.Violated[0] != "none" ||
		p.Detail != "The limit is spent. It may be tried again in 60 s." {
		t.Errorf("body: %+v", p)
	}
}

func TestKeys(t *testing.T) {
	for _, test := range []struct{ addr, want string }{
		{"192.0.2.1:1234", "192.0.2.1"},
		{"[::ffff:192.0.2.1]:1234", "192.0.2.1"},
		{"[2001:db8:1:2:3:4:5:6]:1234", "2001:db8:1:2::/64"},
		{"[fe80::1%eth0]:1234", "fe80::/64"},
		{"@", "@"},
	} {
		if got := httplimit.ByAddress(&http.Request{RemoteAddr: test.addr}); got != test.want {
			t.Errorf("ByAddress(%s) = %s, want %s", test.addr, got, test.want)
		}
	}
	key := httplimit.ByHeader("X-User")
	if got := key(&http.Request{Header: http.Header{"X-User": {"a", "b"}}}); got != "a" {
		t.Errorf("ByHeader = %q, want a", got)
	}
}

func TestKeysAreApart(t *testing.T) {
	l := limiter.New(limiter.Options{})
	o := httplimit.Options{Limiter: l, Now: (&clock{t0}).Now, Limits: []httplimit.Limit{{Name: "a", Limit: perMinute(1)}, {Name: "b", Limit: perMinute(1)}}}
	first, second := handler(t, o, hello), handler(t, o, hello)
	for i, h := range []http.Handler{first, second} {
		for _, addr := range []string{"192.0.2.1:1", "192.0.2.2:1"} {
			if got := get(h, addr).StatusCode; got != 200 {
				t.Errorf("middleware %d: status for %s is %d, want 200", i, addr, got)
			}
			if got := get(h, addr).StatusCode; got != 429 {
				t.Errorf("middleware %d: second status for %s is %d, want 429", i, addr, got)
			}
		}
	}
}

func TestWeightAndRefuse(t *testing.T) {
	h := handler(t, httplimit.Options{
		Limits: []httplimit.Limit{{Name: "a", Limit: perMinute(10)}},
		Now:    (&clock{t0}).Now,
		Key:    httplimit.ByHeader("X-User"),
		Weight: func(r *http.Request) int64 { return map[string]int64{"GET": 4, "PUT": -1}[r.Method] },
		Refuse: func(w http.ResponseWriter, _ *http.Request, checks []limiter.Check) {
			http.Error(w, checks[0].Limit.String(), http.StatusServiceUnavailable)
		},
	}, hello)
	for i, want := range []int{200, 200, 503} {
		if got := get(h, "").StatusCode; got != want {
			t.Errorf("request %d: status %d, want %d", i, got, want)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("PUT", "/", nil))
	if got := w.Header().Get("X-RateLimit-Remaining"); w.Code != 200 || got != "2" {
		t.Errorf("a request without weight: status %d, %s remain; want 200, 2", w.Code, got)
	}
}

func TestBytes(t *testing.T) {
	limit := perMinute(100)
	limit.Cost = limiter.Bytes
	c := &clock{t0}
	h := handler(t, httplimit.Options{Now: c.Now, Limits: []httplimit.Limit{{Name: "bytes", Limit: limit}}},
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			w.(http.Flusher).Flush()
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			w.Write(body)
		}))
	for i, want := range []struct {
		body, status int
		remaining    string
	}{
		{30, 200, "100"}, // read and written: 60
		{60, 200, "40"},  // 120 more
		{1, 429, "0"},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", "/", strings.NewReader(strings.Repeat("x", want.body))))
		if got := w.Header().Get("X-RateLimit-Remaining"); w.Code != want.status || got != want.remaining {
			t.Errorf("request %d: status %d, %s remain; want %d, %s", i, w.Code, got, want.status, want.remaining)
		}
	}
	c.now = t0.Add(time.Minute)
	if got := get(h, "192.0.2.1:1").StatusCode; got != 200 {
		t.Errorf("in the next window: status %d, want 200", got)
	}
}

// TestBytesOfAPanic counts what was written before a handler gave up.
func TestBytesOfAPanic(t *testing.T) {
	limit := perMinute(5)
	limit.Cost = limiter.Bytes
	h := handler(t, httplimit.Options{Now: (&clock{t0}).Now, Limits: []httplimit.Limit{{Name: "bytes", Limit: limit}}},
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "hello")
			panic(http.ErrAbortHandler)
		}))
	func() {
		defer func() { recover() }()
		get(h, "192.0.2.1:1")
	}()
	if got := get(h, "192.0.2.1:1").StatusCode; got != 429 {
		t.Errorf("status %d, want 429", got)
	}
}

func TestShadowOnly(t *testing.T) {
	shadow := perMinute(0)
	shadow.Shadow = true
	h := handler(t, httplimit.Options{Limits: []httplimit.Limit{{Name: "a", Limit: shadow}}}, hello)
	res := get(h, "192.0.2.1:1")
	if res.StatusCode != 200 || res.Header.Get("RateLimit") != "" || res.Header.Get("X-RateLimit-Limit") != "" {
		t.Errorf("status %d, fields %v; want 200 and no word of the shadow", res.StatusCode, res.Header)
	}
}

func TestOptions(t *testing.T) {
	events := perMinute(1)
	events.Cost = limiter.Events
	for _, test := range []struct {
		limits []httplimit.Limit
		want   string
	}{
		{nil, "httplimit: no limits"},
		{[]httplimit.Limit{{Name: "a"}}, `httplimit: limit "a": no limit`},
		{[]httplimit.Limit{{Name: "a", Limit: perMinute(-1)}}, `httplimit: limit "a": count is negative`},
		{[]httplimit.Limit{{Name: "a", Limit: events}}, `httplimit: limit "a": events cannot be counted here`},
	} {
		if _, err := httplimit.New(httplimit.Options{Limits: test.limits}); err == nil || err.Error() != test.want {
			t.Errorf("New = %v, want %s", err, test.want)
		}
	}
}

// TestExactly has 64 clients at once: as many pass as may, over a real server.
func TestExactly(t *testing.T) {
	const count = 100
	server := httptest.NewServer(handler(t, httplimit.Options{
		Limits: []httplimit.Limit{{Name: "a", Limit: perMinute(count)}, {Name: "b", Limit: perMinute(count + 50)}},
		Now:    (&clock{t0}).Now,
	}, hello))
	defer server.Close()
	var passed, refused atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range 4 {
				res, err := server.Client().Get(server.URL)
				if err != nil {
					t.Error(err)
					return
				}
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
				switch res.StatusCode {
				case 200:
					passed.Add(1)
				case 429:
					refused.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if passed.Load() != count || refused.Load() != 64*4-count {
		t.Errorf("%d passed and %d were refused, want %d and %d", passed.Load(), refused.Load(), count, 64*4-count)
	}
}
