package uplink

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-project/weir/event"
)

// told returns how many bodies each manager was told.
func told(all ...*fakeManager) []int {
	var n []int
	for _, m := range all {
		m.mu.Lock()
		sum := 0
		for _, names := range m.bodies {
			sum += len(names)
		}
		n = append(n, sum)
		m.mu.Unlock()
	}
	return n
}

// TestGroupsThatDoNotShare shows that limits do not multiply (W5): each manager is
// told everything, whatever the type, and this is said once for each such group.
func TestGroupsThatDoNotShare(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		all := w.managers(5)
		w.run(w.options(groupOf(LoadBalance, all[0], all[1]), groupOf(Failover, all[2], all[3]), groupOf(Failover, all[4])))
		w.tell(5 * time.Second)
		synctest.Wait()
		for _, m := range all {
			w.ledger.check(t, m.issuer, m.counted())
		}
		if n := w.log.count("do not share"); n != 2 || w.log.count("\n") != 2 || w.log.count("group=1 type=loadbalance") != 1 || w.log.count("group=2 type=failover") != 1 {
			t.Errorf("warned %d times, want 2:\n%s", n, w.log)
		}
	})
}

// TestLoadBalance shows that managers that share are told in turn, each event once.
func TestLoadBalance(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		all := w.managers(3)
		store := sharing(all...)
		w.run(w.options(groupOf(LoadBalance, all...)))
		w.tell(30 * time.Second)
		w.ledger.check(t, "the store", store.all())
		for i, n := range told(all...) {
			if n < 950 || n > 1050 {
				t.Errorf("manager %d was told %d of 3000", i+1, n)
			}
		}
		if got := w.log.String(); got != "" {
			t.Errorf("logged %s", got)
		}
		// A manager that restarts is told nothing again: the store knows it.
		all[1].restart()
		w.tell(5 * time.Second)
		w.ledger.check(t, "after a restart", store.all())
	})
}

// TestFailover shows that the first that is up is told, and what happens at the
// change to another one.
func TestFailover(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		all := w.managers(2)
		store := sharing(all...)
		w.run(w.options(groupOf(Failover, all...)))
		w.tell(10 * time.Second)
		synctest.Wait()
		if n := told(all...); n[1] > 10 {
			t.Errorf("told %v, want all to the first", n)
		}
		all[0].stop()
		before := told(all...)
		w.tell(10 * time.Second)
		w.ledger.check(t, "while the first is down", store.all())
		if n := told(all...); n[1]-before[1] < 995 {
			t.Errorf("told %v, before %v, want all to the second", n, before)
		}
		all[0].start()
		time.Sleep(3 * time.Second)
		before = told(all...)
		w.tell(10 * time.Second)
		w.ledger.check(t, "after the first is back", store.all())
		if n := told(all...); n[0]-before[0] < 995 {
			t.Errorf("told %v, before %v, want all to the first again", n, before)
		}
		if s := w.stats(1); s.Dropped != 0 {
			t.Errorf("stats are %+v", s)
		}
	})
}

// TestSeatTroubles shows that a manager of several that share may be in any
// trouble: what it was to be told is told to the others within 5 s, and counted
// twice is at most what was on its way when it broke down.
func TestSeatTroubles(t *testing.T) {
	for name, tt := range map[string]struct {
		typ     Type
		trouble trouble
		stop    bool
		twice   int // bodies that may count twice
	}{
		"refused, loadbalance":    {LoadBalance, nil, true, 0},
		"refused, failover":       {Failover, nil, true, 0},
		"hung, loadbalance":       {LoadBalance, hang, false, 0},
		"hung, failover":          {Failover, hang, false, 0},
		"reply lost, loadbalance": {LoadBalance, lose, false, 1},
		"reply lost, failover":    {Failover, lose, false, 1},
		"401, failover":           {Failover, status(401, "", nil), false, 0},
		"500, loadbalance":        {LoadBalance, status(500, "", nil), false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				all := w.managers(3)
				store := sharing(all...)
				w.run(w.options(groupOf(tt.typ, all...)))
				w.tell(2 * time.Second)
				if all[0].set(tt.trouble); tt.stop {
					all[0].stop()
				}
				w.tell(2 * time.Second)
				time.Sleep(5 * time.Second)
				counted := store.all()
				twice := 0
				for name, n := range counted {
					if n > 1 {
						counted[name] = 1
						twice++
					}
				}
				w.ledger.check(t, "the store", counted)
				if twice > tt.twice {
					t.Errorf("%d bodies are counted twice, at most %d may be", twice, tt.twice)
				}
				if all[0].set(nil); tt.stop {
					all[0].start()
				}
				time.Sleep(6 * time.Second)
				before := told(all...)
				w.tell(3 * time.Second)
				if n := told(all...); n[0]-before[0] < 90 {
					t.Errorf("told %v, before %v: the first is not used again", n, before)
				}
			})
		})
	}
}

// TestSeatsAllDown shows that what waits while all managers that share are away is
// told when one is back.
func TestSeatsAllDown(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		all := w.managers(2)
		store := sharing(all...)
		w.run(w.options(groupOf(LoadBalance, all...)))
		w.tell(2 * time.Second)
		all[0].stop()
		all[1].stop()
		w.tell(20 * time.Second)
		all[1].start()
		time.Sleep(3 * time.Second)
		w.ledger.check(t, "the store", store.all())
		all[0].start()
		w.tell(3 * time.Second)
		w.ledger.check(t, "the store with both", store.all())
	})
}

// TestLateSeat shows that managers which share and are up one after the other are
// told once, whatever was counted before.
func TestLateSeat(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		n := &network{}
		w.net = n
		var all []*fakeManager
		for i := range 3 {
			m := newFake(t, n, fmt.Sprintf("127.0.0.1:%d", i+1))
			m.run += uint64(i)
			all = append(all, m)
		}
		store := sharing(all...)
		o := w.options(groupOf(LoadBalance, all...))
		o.QueueAge = 5 * time.Second
		w.run(o)
		w.tell(30 * time.Second) // much longer than events wait
		for _, m := range all {
			m.start()
			w.tell(5 * time.Second)
			w.ledger.check(t, "the store with "+m.address, store.all())
		}
	})
}

// TestInterruptedSeat shows that the first of those that share is told all that was
// counted before, also if it breaks down in the middle of that.
func TestInterruptedSeat(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		all := w.managers(2)
		store := sharing(all...)
		all[1].stop()
		w.ledger.size = 100 << 10
		for range 20 {
			w.ledger.note()
		}
		all[0].trouble = func(m *fakeManager, rw http.ResponseWriter, r *http.Request, h *event.Header, names []string) {
			if h.Restates && !h.First {
				hang(m, rw, r, h, names)
				return
			}
			m.answer(rw, m.count(h, names))
		}
		w.run(w.options(groupOf(LoadBalance, all...)))
		time.Sleep(20 * time.Second)
		all[0].set(nil)
		all[1].start()
		time.Sleep(5 * time.Second)
		w.ledger.tell(w.uplink)
		time.Sleep(time.Second)
		w.ledger.check(t, "the store", store.all())
	})
}

// TestBeginsToShare shows that managers which share from some time on, and then no
// longer do, are told each event once.
func TestBeginsToShare(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		all := w.managers(2)
		w.run(w.options(groupOf(LoadBalance, all...)))
		w.tell(3 * time.Second)
		store := sharing()
		for _, m := range all {
			m.restart()
			m.mu.Lock()
			m.shares, m.store = "redis", store
			m.mu.Unlock()
			w.tell(3 * time.Second)
		}
		w.ledger.check(t, "the store", store.all())
		for _, m := range all {
			m.restart()
			m.mu.Lock()
			m.shares = ""
			m.mu.Unlock()
			w.tell(3 * time.Second)
		}
		time.Sleep(time.Second)
		for _, m := range all {
			w.ledger.check(t, m.issuer+" alone", m.counted())
		}
	})
}

// TestTwins shows that one manager that has two URLs is told each event once, by
// one of them, and by the other when that is down.
func TestTwins(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		m := w.managers(1)[0]
		other := newFake(t, w.net, "127.0.0.2:1")
		other.trouble = func(_ *fakeManager, rw http.ResponseWriter, r *http.Request, h *event.Header, names []string) {
			m.answer(rw, m.count(h, names))
		}
		other.start()
		w.run(w.options(groupOf(LoadBalance, m), groupOf(LoadBalance, other)))
		w.tell(20 * time.Second)
		synctest.Wait()
		w.ledger.check(t, "the manager", m.counted())
		if w.log.count("another URL leads to the same traffic manager") != 1 {
			t.Errorf("logged %s", w.log)
		}
		for _, s := range w.uplink.Stats().Managers {
			if s.State != Up && (s.State != Refusing || s.QueueBytes+int(s.Dropped) != 0) {
				t.Errorf("stats are %+v", s)
			}
			if s.State == Up {
				map[bool]*fakeManager{true: m, false: other}[strings.Contains(s.URL, m.address)].stop()
			}
		}
		w.tell(20 * time.Second)
		time.Sleep(time.Second)
		w.ledger.check(t, "the manager by its other URL", m.counted())
	})
}

// TestGroupsThatShare shows that managers of two groups which share their counters,
// so that every event counts twice, are warned of.
func TestGroupsThatShare(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		all := w.managers(3)
		sharing(all...)
		w.run(w.options(groupOf(LoadBalance, all[0]), groupOf(LoadBalance, all[1]), groupOf(LoadBalance, all[2])))
		w.tell(5 * time.Second)
		if w.log.count("put them into one group") != 1 {
			t.Errorf("logged %s", w.log)
		}
	})
}
