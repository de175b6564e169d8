package test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A sink is a backend that notes when each call arrives. Calls have numbers.
type sink struct {
	*httptest.Server
	mu      sync.Mutex
	arrived map[int64]int64 // when, in nanoseconds of Unix time
	twice   int             // calls that arrived more than once
}

func newSink(t testing.TB, host string) *sink {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{arrived: map[int64]int64{}}
	s.Server = &httptest.Server{Listener: l, Config: &http.Server{Handler: s}}
	s.Start()
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// Each call says who it is, and how long its answer is to be.
const (
	callHeader = "X-Call"
	sizeHeader = "X-Size"
)

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now().UnixNano()
	id, _ := strconv.ParseInt(r.Header.Get(callHeader), 10, 64) // zero: none that counts
	s.mu.Lock()
	if _, again := s.arrived[id]; again {
		s.twice++
	}
	s.arrived[id] = now
	s.mu.Unlock()
	w.Header().Set("X-Backend", "sink")
	size, _ := strconv.Atoi(r.Header.Get(sizeHeader)) // zero: nothing
	_, _ = w.Write(make([]byte, size))                // the gateway may be killed
}

// A sharedCall is a call and what came of it. Times are in nanoseconds of Unix time.
type sharedCall struct {
	id             int64
	gateway, kind  int
	sent, answered int64
	arrived        int64 // at the backend; zero: it did not
	status         int   // zero: the gateway was killed
}

// A sharedLoad is clients that call all gateways for all kinds of limits.
type sharedLoad struct {
	f      *sharedFleet
	ended  chan struct{}
	once   sync.Once
	all    sync.WaitGroup
	client *http.Client
	last   atomic.Int64
	away   []atomic.Bool    // gateways that are killed: their calls may fail
	passed [][]atomic.Int64 // when the last call that passed was sent, by gateway and kind

	mu    sync.Mutex
	calls []sharedCall
}

// load has each gateway called until the load is stopped.
func (f *sharedFleet) load(t testing.TB) *sharedLoad {
	l := &sharedLoad{f: f, ended: make(chan struct{}), away: make([]atomic.Bool, len(f.gateways))}
	l.client = &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}
	for range f.gateways {
		l.passed = append(l.passed, make([]atomic.Int64, len(f.kinds)))
	}
	for g := range f.gateways {
		for k := range f.kinds {
			if f.kinds[k].perSecond > 0 {
				l.all.Go(func() { l.run(t, g, k) })
			}
		}
	}
	t.Cleanup(func() {
		l.stop()
		l.client.CloseIdleConnections()
	})
	return l
}

// run calls a gateway for a kind, evenly.
func (l *sharedLoad) run(t testing.TB, g, k int) {
	every := time.Second / time.Duration(l.f.kinds[k].perSecond)
	first := time.NewTimer(every * time.Duration(g*len(l.f.kinds)+k) / time.Duration(len(l.f.gateways)*len(l.f.kinds)))
	defer first.Stop()
	select {
	case <-l.ended:
		return
	case <-first.C: // not all at the same time
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		l.call(t, g, k)
		select {
		case <-l.ended:
			return
		case <-tick.C:
		}
	}
}

// call makes one call, and notes what came of it.
func (l *sharedLoad) call(t testing.TB, g, k int) sharedCall {
	kind := &l.f.kinds[k]
	c := sharedCall{id: l.last.Add(1), gateway: g, kind: k}
	r, err := http.NewRequest(http.MethodGet, "http://"+l.f.gateways[g].addr+"/"+kind.name+"/1/menu", nil)
	if err != nil {
		t.Error(err)
		return c
	}
	r.Header.Set("ApiKey", l.f.keys[kind.name+" PRODUCTION"])
	r.Header.Set(callHeader, strconv.FormatInt(c.id, 10))
	r.Header.Set(sizeHeader, strconv.Itoa(kind.size))
	c.sent = time.Now().UnixNano()
	resp, err := l.client.Do(r)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	c.answered = time.Now().UnixNano()
	switch refused := kind.refusal(); {
	case err != nil && l.away[g].Load():
	case err != nil:
		t.Errorf("a call of gateway %d for %s failed: %v", g+1, kind.name, err)
	case resp.StatusCode != http.StatusOK && resp.StatusCode != refused:
		t.Errorf("a call of gateway %d for %s was answered %d, want 200 or %d", g+1, kind.name, resp.StatusCode, refused)
	default:
		c.status = resp.StatusCode
	}
	if c.status == http.StatusOK {
		l.passed[g][k].Store(c.sent)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, c)
	return c
}

// refusal returns the status with which calls over the limit are answered.
func (k *sharedKind) refusal() int {
	if k.throughput != "" {
		return http.StatusServiceUnavailable
	}
	return http.StatusTooManyRequests
}

// stop ends the calls.
func (l *sharedLoad) stop() {
	l.once.Do(func() { close(l.ended) })
	l.all.Wait()
}

// outcome returns all calls so far, in the order in which they were sent.
func (l *sharedLoad) outcome(t testing.TB) []sharedCall {
	t.Helper()
	l.mu.Lock()
	all := slices.Clone(l.calls)
	l.mu.Unlock()
	l.f.sink.mu.Lock()
	defer l.f.sink.mu.Unlock()
	for i := range all {
		all[i].arrived = l.f.sink.arrived[all[i].id]
	}
	if n := l.f.sink.twice; n > 0 {
		t.Errorf("%d calls reached the backend twice", n)
	}
	slices.SortFunc(all, func(a, b sharedCall) int { return int(a.sent - b.sent) })
	return all
}

// passes returns those calls of a kind that reached the backend.
func (l *sharedLoad) passes(t testing.TB, name string) []sharedCall {
	t.Helper()
	k := l.f.index(name)
	return slices.DeleteFunc(l.outcome(t), func(c sharedCall) bool { return c.kind != k || c.arrived == 0 })
}

// passedAt reports whether each of some gateways has let a call of a kind pass that was
// sent after a time. Without any, all are meant that were not killed.
func (l *sharedLoad) passedAt(name string, after time.Time, gateways ...int) bool {
	if len(gateways) == 0 {
		for g := range l.f.gateways {
			if !l.away[g].Load() {
				gateways = append(gateways, g)
			}
		}
	}
	k := l.f.index(name)
	return !slices.ContainsFunc(gateways, func(g int) bool { return l.passed[g][k].Load() <= after.UnixNano() })
}
