package uplink

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-project/weir/event"
)

// TestFaults drives two or three managers through a minute of random faults, and
// holds that each that shares nothing has counted every event once at its end;
// and that those that share have counted each, and few twice.
func TestFaults(t *testing.T) {
	const seeds = 16
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) { faults(t, w, seed) })
		})
	}
}

func faults(t *testing.T, w *world, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 7))
	all := w.managers(2 + r.IntN(2))
	var store *store
	if seed%2 == 1 {
		store = sharing(all...)
	}
	o := w.options(groupOf(Type(r.IntN(2)), all...))
	if seed%4 == 0 {
		o.QueueAge, o.QueueBytes = 3*time.Second, 3*4<<10 // so that much is dropped
	}
	w.run(o)
	faults := 0
	for until := time.Now().Add(time.Minute); time.Now().Before(until); {
		for range r.IntN(20) {
			w.ledger.tell(w.uplink)
			time.Sleep(time.Duration(r.IntN(60)) * time.Millisecond)
		}
		if r.IntN(4) > 0 {
			continue
		}
		m := all[r.IntN(len(all))]
		if upset(m, r) {
			faults++
		}
	}
	for _, m := range all {
		m.set(nil)
		if m.server == nil {
			m.start()
		}
	}
	time.Sleep(8 * time.Second)
	synctest.Wait()
	if store == nil {
		for _, m := range all {
			w.ledger.check(t, m.issuer, m.counted())
		}
		return
	}
	counted, twice := store.all(), 0
	for name, n := range counted {
		if n > 1 {
			twice += n - 1
			counted[name] = 1
		}
	}
	w.ledger.check(t, "the store", counted)
	if twice > 20*faults {
		t.Errorf("%d counted twice after %d faults", twice, faults)
	}
}

// upset makes something with m go wrong, or right again, and reports which.
func upset(m *fakeManager, r *rand.Rand) bool {
	if m.server == nil {
		m.start()
		return false
	}
	switch r.IntN(8) {
	case 0:
		m.stop()
	case 1:
		m.stop()
		m.net.listen(m.address, true)
	case 2:
		m.restart()
	case 3:
		m.stop()
		m.restart()
	case 4:
		m.set(hang)
	case 5:
		m.set(sometimes(r.Uint64()))
	default:
		m.set(nil)
		return false
	}
	return true
}

// sometimes has a different trouble with each call, or none.
func sometimes(seed uint64) trouble {
	r := rand.New(rand.NewPCG(seed, 3))
	troubles := []trouble{lose, cut, status(500, "", nil), status(503, "", nil), says(event.MediaType, "x"), nil, nil, nil}
	return func(m *fakeManager, w http.ResponseWriter, req *http.Request, h *event.Header, names []string) {
		m.mu.Lock()
		tr := troubles[r.IntN(len(troubles))]
		slow := time.Duration(r.IntN(50)) * time.Millisecond
		m.mu.Unlock()
		time.Sleep(slow)
		if tr != nil {
			tr(m, w, req, h, names)
			return
		}
		m.answer(w, m.count(h, names))
	}
}
