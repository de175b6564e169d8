package test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A fleetLoad is clients that call gateways, one client each, and what came of it.
type fleetLoad struct {
	passed  atomic.Int64
	refused []atomic.Int64 // calls that each gateway refused since the last that passed
	ended   chan struct{}
	clients sync.WaitGroup
	once    sync.Once
}

// load calls each gateway about once in a pause until it is stopped. A call must be
// answered, by the backend or by a refusal for the subscription.
func (f *fleet) load(t testing.TB, pause time.Duration, gateways ...*gatewayProcess) *fleetLoad {
	l := &fleetLoad{ended: make(chan struct{}), refused: make([]atomic.Int64, len(gateways))}
	for i, g := range gateways {
		c := f.client(g)
		l.clients.Go(func() {
			tick := time.NewTicker(pause)
			defer tick.Stop()
			for {
				select {
				case <-l.ended:
					return
				case <-tick.C:
				}
				r, err := c.do("GET", "/pizza/1/menu", "", "ApiKey", f.secret())
				switch {
				case err != nil:
					t.Errorf("a call failed: %v", err)
				case r.StatusCode == 200:
					l.passed.Add(1)
					l.refused[i].Store(0)
				case r.StatusCode == 429:
					l.refused[i].Add(1)
				default:
					t.Errorf("a call got status %d: %s", r.StatusCode, r.text)
				}
			}
		})
	}
	t.Cleanup(func() { l.stop() })
	return l
}

// refusing reports whether every gateway has refused a few times in a row.
func (l *fleetLoad) refusing() bool {
	for i := range l.refused {
		if l.refused[i].Load() < 4 {
			return false
		}
	}
	return true
}

// stop ends the calls, and returns how many passed.
func (l *fleetLoad) stop() int64 {
	l.once.Do(func() { close(l.ended) })
	l.clients.Wait()
	return l.passed.Load()
}
