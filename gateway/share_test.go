package gateway

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/limiter/memory"
)

// A hangingStore is one in memory that can be made to hang.
type hangingStore struct {
	*memory.Store
	hangs atomic.Bool
}

func (s *hangingStore) Share(ctx context.Context, b *limiter.Batch) error {
	if s.hangs.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	time.Sleep(time.Millisecond)
	return s.Store.Share(ctx, b)
}

// newSharing returns two gateways that share counters, in a bubble of package
// synctest, and the beginning of a minute some time after its store was made.
func newSharing(t *testing.T, store limiter.Store, change func(d *Definition)) []*world {
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	var all []*world
	for i := range 2 {
		w := newWorld(t)
		if i == 1 { // the same keys
			w.production, w.definition = all[0].production, all[0].definition
		}
		change(&w.definition)
		o := w.options
		o.Limiter = limiter.New(limiter.Options{Sharing: limiter.Checks})
		o.Seed = limiter.Seed{}
		s := limiter.NewSharer(o.Limiter, store, limiter.SharerOptions{Node: uint64(i + 1)})
		o.Sharer = s
		running.Go(func() { _ = s.Run(ctx, time.Now) })
		var err error
		if w.Gateway, err = New(o); err != nil {
			t.Fatal(err)
		}
		if err := w.Apply(w.definition); err != nil {
			t.Fatal(err)
		}
		all = append(all, w)
	}
	time.Sleep(limiter.Fence + time.Minute)
	time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute + time.Second)))
	return all
}

// send sends a call, and returns whether it was admitted and how long that took.
func (w *world) send() (bool, time.Duration) {
	x := call("GET", "/pizza/1/menu", "ApiKey", w.production)
	x.Time = time.Now()
	a := w.Admit(x)
	took := time.Since(x.Time)
	if a == nil {
		w.Finish(x, Outcome{Forwarded: true, Status: 200, Time: time.Now()})
	}
	return a == nil, took
}

// exactly makes the application's ten calls a minute exact.
func exactly(loss limiter.OnStoreLoss) func(d *Definition) {
	return func(d *Definition) {
		for i := range d.Policies.Policies {
			if p := &d.Policies.Policies[i]; p.Name == "Ten" {
				l := *p.Limit
				l.Accuracy, l.OnStoreLoss = limiter.Exact, loss
				p.Limit = &l
			}
		}
	}
}

// TestSharedExact has two gateways let ten calls a minute pass, together, and no
// call waits for more than 5 ms.
func TestSharedExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newSharing(t, &hangingStore{Store: memory.New(memory.Options{})}, exactly(limiter.ByAccuracy))
		for minute := range 3 {
			passed := 0
			for i := range 30 {
				ok, took := all[i%2].send()
				if ok {
					passed++
				}
				if took > mostWait {
					t.Errorf("minute %d, call %d: waited for %v", minute, i, took)
				}
				time.Sleep(300 * time.Millisecond)
			}
			if passed != 10 {
				t.Errorf("minute %d: %d calls passed, want 10", minute, passed)
			}
			time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute + time.Second)))
		}
	})
}

// TestSharedHangs hangs the store: a call waits for 5 ms at most until it is known to
// be away, and then not at all; and each limit does as it says.
func TestSharedHangs(t *testing.T) {
	for loss, pass := range map[limiter.OnStoreLoss]int{
		limiter.ByAccuracy: 0, limiter.Closed: 0, limiter.Local: 5, limiter.Open: 40,
	} {
		t.Run(loss.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &hangingStore{Store: memory.New(memory.Options{})}
				w := newSharing(t, store, exactly(loss))[0]
				store.hangs.Store(true)
				began, passed := time.Now(), 0
				for range 40 {
					ok, took := w.send()
					if ok {
						passed++
					}
					if took > mostWait || took > 0 && time.Since(began) > 250*time.Millisecond {
						t.Errorf("after %v a call waited for %v", time.Since(began), took)
					}
					time.Sleep(20 * time.Millisecond)
				}
				if passed != pass {
					t.Errorf("%d calls passed, want %d", passed, pass)
				}
			})
		})
	}
}
