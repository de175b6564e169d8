package load

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Requests are due at a constant rate, and every one of them is sent.
func TestConstantRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var sent []time.Duration
		begin := time.Now()
		r := run(t, Options{
			Targets: []string{"http://a/"}, Rate: 20, Clients: 3, Duration: 2 * time.Second,
			Observe: func(o Observation) {
				mu.Lock()
				defer mu.Unlock()
				sent = append(sent, o.Sent.Sub(begin))
			},
			dial: pipes(answering(always(fineAnswer))),
		})
		if r.Total != (Count{Admitted: 40}) || r.Due != 40 || r.Unsent != 0 || r.Late != 0 {
			t.Errorf("got %+v, due %d, unsent %d, late %d; want 40 admitted", r.Total, r.Due, r.Unsent, r.Late)
		}
		for i, at := range sent {
			if want := time.Duration(i) * 50 * time.Millisecond; at != want {
				t.Fatalf("request %d was sent after %s, want %s", i, at, want)
			}
		}
		if len(r.Seconds) != 2 || r.Seconds[0].Admitted != 20 || r.Seconds[1].Admitted != 20 {
			t.Errorf("seconds %+v, want 20 each", r.Seconds)
		}
		if r.Statuses[200] != 40 || r.Latency.Count != 40 || r.Latency.Max != 0 {
			t.Errorf("statuses %v, latency %+v", r.Statuses, r.Latency)
		}
	})
}

// A server that stands still for two seconds gets every request all the same,
// and those that it held up have waited: the load does not go at its pace.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		r := run(t, Options{
			Targets: []string{"http://a/"}, Rate: 100, Clients: 4, Duration: 5 * time.Second,
			dial: pipes(answering(func(*http.Request) string {
				if at := time.Since(begin); at >= time.Second && at < 3*time.Second {
					time.Sleep(3*time.Second - at)
				}
				return fineAnswer
			})),
		})
		if r.Total.Admitted != 500 || r.Unsent != 0 {
			t.Errorf("got %+v, %d unsent, want 500 admitted", r.Total, r.Unsent)
		}
		// 200 were due while it stood still, one every 10 ms: half of them waited for
		// more than a second.
		if p := r.Latency.P90; p < 1450*time.Millisecond || p > 1550*time.Millisecond {
			t.Errorf("p90 %s, want about 1.5 s", p)
		}
		if r.Latency.Max != 2*time.Second || r.Latency.P50 != 0 {
			t.Errorf("from %s to %s, want 0 to 2 s", r.Latency.P50, r.Latency.Max)
		}
		if r.Late < 190 || r.Latest < 1900*time.Millisecond || r.Latest > 2*time.Second {
			t.Errorf("%d late, by %s at most; want all but the few for which a client was free", r.Late, r.Latest)
		}
	})
}

// What no client was free for until the end is counted.
func TestUnsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, Options{
			Targets: []string{"http://a/"}, Rate: 100, Clients: 2, Duration: time.Second, Timeout: time.Hour,
			dial: pipes(answering(func(*http.Request) string {
				time.Sleep(10 * time.Second)
				return fineAnswer
			})),
		})
		if r.Total.Admitted != 2 || r.Due != 100 || r.Unsent != 98 {
			t.Errorf("admitted %d of %d, %d unsent; want 2 of 100, 98 unsent", r.Total.Admitted, r.Due, r.Unsent)
		}
		if took := r.Ended.Sub(r.Started); took != time.Second {
			t.Errorf("it lasted %s, want 1s", took)
		}
	})
}

// Without a rate each client sends as soon as it is answered.
func TestClosedLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, Options{
			Targets: []string{"http://a/"}, Clients: 3, Duration: time.Second,
			dial: pipes(answering(func(*http.Request) string {
				time.Sleep(10 * time.Millisecond)
				return fineAnswer
			})),
		})
		if r.Total.Admitted != 300 || r.Due != 300 || r.Unsent != 0 {
			t.Errorf("admitted %d of %d, want 300", r.Total.Admitted, r.Due)
		}
	})
}

// Targets get the same number, and one that stands still does not hold up others.
func TestTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, Options{
			Targets: []string{"http://a/", "http://b/", "http://c/"}, Rate: 30, Clients: 4, Duration: 10 * time.Second, Timeout: time.Minute,
			dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				answer := always(fineAnswer)
				if address == "b:80" {
					answer = func(*http.Request) string {
						time.Sleep(time.Minute - 1)
						return fineAnswer
					}
				}
				return pipes(answering(answer))(ctx, network, address)
			},
		})
		if r.Targets[0].Admitted != 100 || r.Targets[2].Admitted != 100 || r.Targets[1].Admitted != 1 || r.Unsent != 99 {
			t.Errorf("got %+v, %d unsent; want 100, 1, 100 and 99 unsent", r.Targets, r.Unsent)
		}
	})
}

// A load that is aligned begins with a window, so that the window is hit whole.
func TestAlign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(17*time.Second + 300*time.Millisecond)
		r := run(t, Options{
			Targets: []string{"http://a/"}, Rate: 1, Clients: 1, Duration: 150 * time.Second,
			Align: time.Minute, Window: time.Minute, dial: pipes(answering(always(fineAnswer))),
		})
		if at := r.Started; at.Second() != 0 || at.Nanosecond() != 0 || at.Minute() != 1 {
			t.Errorf("it began at %s, want the next minute", at)
		}
		if len(r.Windows) != 3 {
			t.Fatalf("windows %+v, want 3", r.Windows)
		}
		for i, want := range []struct {
			admitted int64
			whole    bool
		}{{60, true}, {60, true}, {30, false}} {
			w := r.Windows[i]
			if w.Admitted != want.admitted || w.Whole != want.whole || w.Begins.Sub(r.Started) != time.Duration(i)*time.Minute {
				t.Errorf("window %d: %+v, want %d admitted, whole %v", i, w, want.admitted, want.whole)
			}
		}
	})
}

// Without alignment the first and the last window are parts.
func TestWindowsInPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(7500 * time.Millisecond)
		r := run(t, Options{
			Targets: []string{"http://a/"}, Rate: 10, Duration: 20 * time.Second, Window: 10 * time.Second,
			dial: pipes(answering(always(fineAnswer))),
		})
		if len(r.Windows) != 3 || r.Windows[0].Admitted != 25 || r.Windows[1].Admitted != 100 || r.Windows[2].Admitted != 75 {
			t.Errorf("windows %+v, want 25, 100 and 75", r.Windows)
		}
		if r.Windows[0].Whole || !r.Windows[1].Whole || r.Windows[2].Whole {
			t.Errorf("windows %+v, want only the second to be whole", r.Windows)
		}
	})
}

// An admitted request that is answered in the next window may count there.
func TestEdge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, Options{
			Targets: []string{"http://a/"}, Rate: 10, Duration: 2 * time.Second, Window: time.Second,
			dial: pipes(answering(func(*http.Request) string {
				time.Sleep(250 * time.Millisecond)
				return fineAnswer
			})),
		})
		w := r.Windows[0]
		if w.Admitted != 10 || w.Edge != 2 { // sent after 0.8 and 0.9 s
			t.Errorf("got %+v, want 10 admitted, 2 at the edge", w)
		}
		if w.Over(7) != 1 || w.Over(8) != 0 {
			t.Errorf("over 7 by %d, over 8 by %d; want 1 and 0", w.Over(7), w.Over(8))
		}
	})
}

func TestUnder(t *testing.T) {
	for _, tt := range []struct {
		w    Window
		want int64
	}{
		{Window{Whole: true, Count: Count{Admitted: 90, Refused: 50}}, 10},
		{Window{Whole: true, Count: Count{Admitted: 90, Refused: 4}}, 4},
		{Window{Whole: true, Count: Count{Admitted: 90}}, 0},
		{Window{Whole: true, Count: Count{Admitted: 101, Refused: 50}}, 0},
		{Window{Count: Count{Admitted: 90, Refused: 50}}, 0},
	} {
		if got := tt.w.Under(100); got != tt.want {
			t.Errorf("%+v: under by %d, want %d", tt.w, got, tt.want)
		}
	}
}

// ^C ends the load at once, and what came of it until then is there.
func TestStop(t *testing.T) {
	f := newFake(t, answering(func(r *http.Request) string {
		if r.URL.Path == "/slow" {
			time.Sleep(time.Hour) // the connection is closed before
		}
		return fineAnswer
	}))
	hang := newFake(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	var seen atomic.Int64
	l, err := New(Options{
		Targets: []string{f.url, hang.url}, Rate: 400, Clients: 8, Duration: time.Hour, Timeout: time.Hour,
		Observe: func(Observation) { seen.Add(1) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if p := l.Progress(); p.Started {
		t.Errorf("before the start: %+v", p)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	time.AfterFunc(10*time.Second, cancel)
	go func() {
		for seen.Load() < 20 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	r, err := l.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if r.Total.Admitted < 20 || r.Total.Failed != 0 || r.Abandoned != 4 || r.Targets[1] != (Count{}) {
		t.Errorf("got %+v, %d abandoned; want 20 or more admitted, and 4 that hung", r.Total, r.Abandoned)
	}
	if took := r.Ended.Sub(r.Started); took > 9*time.Second {
		t.Errorf("it lasted %s", took)
	}
	if p := l.Progress(); !p.Started || p.Total != r.Total {
		t.Errorf("progress %+v, want %+v", p, r.Total)
	}
}

func TestStopBeforeStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		l, err := New(Options{
			Targets: []string{"http://a/"}, Duration: time.Second, Align: time.Hour,
			dial: pipes(answering(always(fineAnswer))),
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want that the context is done", err)
		}
	})
}

// What is sent is what was asked for.
func TestRequest(t *testing.T) {
	var mu sync.Mutex
	var got *http.Request
	var body string
	f := newFake(t, answering(func(r *http.Request) string {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		got, body = r, string(b)
		return fineAnswer
	}))
	run(t, Options{
		Targets: []string{f.url + "pets?kind=dog#x"}, Method: "POST", Body: []byte(`{"name":"Rex"}`),
		Header: []Field{{"ApiKey", "k"}, {"Host", "shop.example"}, {"X-Two", "1"}, {"X-Two", "2"}},
		Rate:   100, Clients: 1, Duration: time.Millisecond,
	})
	if got == nil {
		t.Fatal("no request came")
	}
	if got.Method != "POST" || got.RequestURI != "/pets?kind=dog" || got.Host != "shop.example" || body != `{"name":"Rex"}` {
		t.Errorf("got %s %s at %s with %q", got.Method, got.RequestURI, got.Host, body)
	}
	if got.Header.Get("ApiKey") != "k" || len(got.Header["X-Two"]) != 2 || got.UserAgent() != "weir-load" {
		t.Errorf("header %v", got.Header)
	}
}

func TestOptions(t *testing.T) {
	good := Options{Targets: []string{"http://127.0.0.1:1/"}, Duration: time.Second}
	if _, err := New(good); err != nil {
		t.Errorf("the least that is needed: %v", err)
	}
	for _, tt := range []struct {
		change func(*Options)
		want   string
	}{
		{func(o *Options) { o.Targets = nil }, "a target is missing"},
		{func(o *Options) { o.Targets = []string{"127.0.0.1:80"} }, "127.0.0.1:80"},
		{func(o *Options) { o.Targets = []string{"ftp://a/"} }, "http://host:port/path"},
		{func(o *Options) { o.Targets = []string{"http:///x"} }, "http://host:port/path"},
		{func(o *Options) { o.Targets = []string{"http://me:secret@a/"} }, "put credentials into a header field"},
		{func(o *Options) { o.Rate = -1 }, "rate -1"},
		{func(o *Options) { o.Rate = math.NaN() }, "rate NaN"},
		{func(o *Options) { o.Rate = 2e6 }, "rate 2e+06"},
		{func(o *Options) { o.Clients = -1 }, "clients"},
		{func(o *Options) { o.Clients = 1e6 }, "clients"},
		{func(o *Options) { o.Duration = 0 }, "duration 0s"},
		{func(o *Options) { o.Duration = 48 * time.Hour }, "duration 48h"},
		{func(o *Options) { o.Align = -1 }, "negative"},
		{func(o *Options) { o.Timeout = -1 }, "negative"},
		{func(o *Options) { o.Window = time.Nanosecond }, "more than 100000 windows"},
		{func(o *Options) { o.Method = "GE T" }, `method "GE T"`},
		{func(o *Options) { o.Header = []Field{{"A b", "c"}} }, `"A b"`},
		{func(o *Options) { o.Header = []Field{{"", "c"}} }, "its name is none"},
		{func(o *Options) { o.Header = []Field{{"A", "b\r\nC: d"}} }, "control character"},
		{func(o *Options) { o.Header = []Field{{"Content-Length", "1"}} }, "can't be set"},
		{func(o *Options) { o.Header = []Field{{"Host", "a b"}} }, "host"},
	} {
		o := good
		tt.change(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%v tells a password", err)
		}
	}
}
