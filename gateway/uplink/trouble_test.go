package uplink

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-project/weir/event"
)

// hang never answers.
func hang(_ *fakeManager, _ http.ResponseWriter, r *http.Request, _ *event.Header, _ []string) {
	<-r.Context().Done()
}

// status answers with a status.
func status(code int, text string, header http.Header) trouble {
	return func(_ *fakeManager, w http.ResponseWriter, _ *http.Request, _ *event.Header, _ []string) {
		maps.Copy(w.Header(), header)
		w.WriteHeader(code)
		_, _ = w.Write([]byte(text))
	}
}

// says answers with what is no reply.
func says(typ, text string) trouble {
	return func(_ *fakeManager, w http.ResponseWriter, _ *http.Request, _ *event.Header, _ []string) {
		w.Header().Set("Content-Type", typ)
		_, _ = w.Write([]byte(text))
	}
}

// lose counts, and loses the answer.
func lose(m *fakeManager, _ http.ResponseWriter, _ *http.Request, h *event.Header, names []string) {
	m.count(h, names)
	panic(http.ErrAbortHandler)
}

// cut loses the call.
func cut(*fakeManager, http.ResponseWriter, *http.Request, *event.Header, []string) {
	panic(http.ErrAbortHandler)
}

// TestTroubles shows for each thing that can be wrong with one manager of two that
// the other is told at once, that nobody waits, and that the first is told all
// within 5 s of its recovery, once.
func TestTroubles(t *testing.T) {
	for name, tt := range map[string]struct {
		trouble trouble
		stop    bool   // nobody listens
		hole    bool   // connections are never made
		state   State  // in trouble
		says    string // in the log, once
		calls   [2]int // that are made in 30 s of trouble
	}{
		"refused":     {stop: true, state: Down, says: "connection refused"},
		"black hole":  {hole: true, state: Down, says: "deadline"},
		"hung":        {trouble: hang, state: Down, says: "i/o timeout", calls: [2]int{8, 16}},
		"reply lost":  {trouble: lose, state: Down, says: "closed without an answer", calls: [2]int{15, 70}},
		"call lost":   {trouble: cut, state: Down, says: "closed without an answer", calls: [2]int{15, 70}},
		"500":         {trouble: status(500, "", nil), state: Down, says: "answer is 500", calls: [2]int{15, 70}},
		"503, later":  {trouble: status(503, "overloaded\nbadly", http.Header{"Retry-After": {"3"}}), state: Down, says: "(overloaded)", calls: [2]int{6, 11}},
		"503, absurd": {trouble: status(503, "", http.Header{"Retry-After": {"99999999999999"}}), state: Down, says: "503", calls: [2]int{15, 70}},
		"401":         {trouble: status(401, "", nil), state: Refusing, says: "credentials are wrong", calls: [2]int{5, 11}},
		"404":         {trouble: status(404, "<html>", nil), state: Refusing, says: "check the URL", calls: [2]int{5, 11}},
		"415":         {trouble: status(415, "", nil), state: Refusing, says: "takes batches", calls: [2]int{5, 11}},
		"302":         {trouble: status(302, "", nil), state: Refusing, says: "redirections", calls: [2]int{5, 11}},
		"garbage":     {trouble: says(event.MediaType, "\xff\xff\xff\xff\xff"), state: Down, says: "answer: ", calls: [2]int{15, 70}},
		"a web page":  {trouble: says("text/html", "<html>"), state: Down, says: "text/html", calls: [2]int{15, 70}},
		"nobody": {trouble: func(m *fakeManager, w http.ResponseWriter, _ *http.Request, _ *event.Header, _ []string) {
			m.answer(w, event.Reply{Issuer: "x"})
		}, state: Down, says: "whose it is", calls: [2]int{15, 70}},
		"too large":     {trouble: status(200, "", http.Header{"Content-Type": {event.MediaType}, "Content-Length": {"33554433"}}), state: Down, says: "too large", calls: [2]int{15, 70}},
		"a long header": {trouble: status(200, "", http.Header{"X": {strings.Repeat("x", maxHead+1)}}), state: Down, says: "too large", calls: [2]int{15, 70}},
		"slow":          {trouble: slowly, state: Up, calls: [2]int{16, 20}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				all := w.managers(2)
				bad, good := all[0], all[1]
				w.run(w.options(groupOf(LoadBalance, bad, good)))
				w.tell(2 * time.Second)
				bad.set(tt.trouble)
				if tt.stop {
					bad.stop()
				}
				if tt.hole {
					bad.stop()
					bad.net.listen(bad.address, true)
				}
				before := len(bad.headers())
				for range 30 {
					w.tellEach(50*time.Millisecond, time.Second)
					synctest.Wait()
					w.ledger.check(t, "the other", good.counted())
				}
				if n := len(bad.headers()) - before; n < tt.calls[0] || n > tt.calls[1] {
					t.Errorf("%d calls in 30 s of trouble, want from %d to %d", n, tt.calls[0], tt.calls[1])
				}
				s := w.stats(0)
				if s.State != tt.state {
					t.Errorf("it is %v, want %v: %s", s.State, tt.state, s.LastError)
				}
				if tt.says != "" && (w.log.count(tt.says) != 1 || w.log.count("127.0.0.1:1/") != 2 || !strings.Contains(s.LastError, tt.says)) { // 2: of them one that they do not share
					t.Errorf("logged, with last error %q:\n%s", s.LastError, w.log)
				}
				if s.Dropped != 0 {
					t.Errorf("stats are %+v", s)
				}
				bad.set(nil)
				if tt.stop || tt.hole {
					bad.start()
				}
				time.Sleep(6 * time.Second)
				w.ledger.check(t, "the one that recovered", bad.counted())
				if s := w.stats(0); s.State != Up || s.QueueEvents != 0 || tt.says != "" && w.log.count("answers again") != 1 {
					t.Errorf("stats are %+v, log:\n%s", s, w.log)
				}
				if s := w.stats(1); s.Repeated+s.Dropped != 0 || s.RTT != 0 {
					t.Errorf("stats of the other are %+v", s)
				}
			})
		})
	}
}

// slowly answers in just less than the time-out.
func slowly(m *fakeManager, w http.ResponseWriter, _ *http.Request, h *event.Header, names []string) {
	time.Sleep(1800 * time.Millisecond)
	m.answer(w, m.count(h, names))
}

// TestTooLarge shows that a manager that takes less at once is sent less, and that
// what it will not take at all holds up nothing.
func TestTooLarge(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		m := w.managers(1)[0]
		small := func(m *fakeManager, rw http.ResponseWriter, _ *http.Request, h *event.Header, names []string) {
			if len(strings.Join(names, "")) > 100<<10 {
				rw.WriteHeader(http.StatusRequestEntityTooLarge)
				return
			}
			m.answer(rw, m.count(h, names))
		}
		m.set(small)
		w.ledger.size = 30 << 10
		for range 23 {
			w.ledger.note()
		}
		w.run(w.options(groupOf(LoadBalance, m)))
		time.Sleep(time.Second)
		w.ledger.check(t, "after the restatement", m.counted())
		for range 50 {
			w.ledger.tell(w.uplink)
		}
		time.Sleep(time.Second)
		w.ledger.check(t, "the manager", m.counted())

		w.uplink.Events(w.ledger.n+1, body(strings.Repeat("x", 200<<10), 7))
		w.ledger.n++
		w.ledger.tell(w.uplink)
		time.Sleep(time.Second)
		w.ledger.check(t, "after one too large", m.counted())
		if s := w.stats(0); s.Refused != 7 || s.State != Up || w.log.count("refused events") != 1 || !strings.Contains(s.LastError, "413") {
			t.Errorf("stats are %+v, log:\n%s", s, w.log)
		}
		m.restart()
		m.set(func(m *fakeManager, rw http.ResponseWriter, r *http.Request, h *event.Header, names []string) {
			if len(names) > 0 && h.Restates && names[0][:6] == "000007" {
				names = append(names, strings.Repeat("x", 200<<10)) // it alone is too large
			}
			small(m, rw, r, h, names)
		})
		time.Sleep(3 * time.Second)
		counted := m.counted()
		counted[w.ledger.names[6]]++ // the seventh
		w.ledger.check(t, "after a restatement with one too large", counted)
	})
}

// TestMalformed shows that events which a manager will not have hold up nothing.
func TestMalformed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		m := w.managers(1)[0]
		tries := 0
		w.run(w.options(groupOf(LoadBalance, m)))
		time.Sleep(time.Second)
		m.set(func(m *fakeManager, rw http.ResponseWriter, _ *http.Request, h *event.Header, names []string) {
			if len(names) > 0 && names[0] == "bad" {
				tries++
				rw.WriteHeader(http.StatusBadRequest)
				return
			}
			r := m.count(h, names)
			if len(names) > 0 && names[0] == "000003" {
				r.Refused = []event.Refusal{{Index: 0, Reason: "why\nnot"}, {Index: 1}}
				r.Late = 4
			}
			m.answer(rw, r)
		})
		w.ledger.tell(w.uplink)
		time.Sleep(time.Second)
		n, _ := w.ledger.note()
		w.uplink.Events(n, body("bad", 5))
		time.Sleep(time.Second)
		w.ledger.tell(w.uplink)
		time.Sleep(time.Second)
		counted := m.counted()
		counted["000002"] = 1
		w.ledger.check(t, "the manager", counted)
		if s := w.stats(0); tries != 3 || s.Refused != 7 || s.Late != 4 || s.State != Up || w.log.count("refused events") != 1 {
			t.Errorf("tried %d times, stats are %+v, log:\n%s", tries, s, w.log)
		}
		time.Sleep(10 * time.Second)
	})
}

// TestOutage shows C07: ten minutes without a manager cost bounded memory, one line
// every 10 s, and nothing once it is back.
func TestOutage(t *testing.T) {
	for name, bytes := range map[string]int{"by age": 0, "by bytes": 2 << 20} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				all := w.managers(2)
				o := w.options(groupOf(LoadBalance, all[0], all[1]))
				o.QueueBytes = bytes
				w.ledger.size = 10 << 10
				w.run(o)
				w.tell(time.Second)
				all[0].stop()
				most, oldest := 0, time.Duration(0)
				for range 600 {
					w.tellEach(250*time.Millisecond, time.Second)
					s := w.stats(0)
					most, oldest = max(most, s.QueueBytes), max(oldest, s.QueueAge)
				}
				synctest.Wait()
				if bytes > 0 && (most > bytes/2 || most < bytes/2-20<<10) || oldest > time.Minute+300*time.Millisecond || bytes == 0 && oldest < time.Minute-time.Second {
					t.Errorf("%d bytes waited, for %v at most", most, oldest)
				}
				s := w.stats(0)
				if s.Dropped == 0 || s.Dropped+uint64(s.QueueEvents)+s.Acknowledged > uint64(len(w.ledger.names)) || s.Dropped+uint64(s.QueueEvents)+s.Acknowledged+5 < uint64(len(w.ledger.names)) {
					t.Errorf("of %d events, stats are %+v", len(w.ledger.names), s)
				}
				if n := w.log.count("events dropped"); n < 50 || n > 60 || w.log.count("\n") > n+2 {
					t.Errorf("%d lines of drops in 10 minutes:\n%s", n, w.log)
				}
				w.ledger.check(t, "the other", all[1].counted())
				all[0].start()
				time.Sleep(5 * time.Second)
				w.ledger.check(t, "the one that is back", all[0].counted())
				if s := w.stats(0); s.QueueBytes != 0 || s.Restatements != 2 || s.Sent > s.Acknowledged+1 {
					t.Errorf("stats are %+v", s)
				}
			})
		})
	}
}

// TestHungOutage shows the same of a manager that takes calls and does not answer:
// what is on its way is given up, too.
func TestHungOutage(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		m := w.managers(1)[0]
		w.run(w.options(groupOf(LoadBalance, m)))
		w.tell(time.Second)
		m.set(hang)
		w.tell(65 * time.Second)
		s := w.stats(0)
		if s.Dropped == 0 || s.QueueAge > time.Minute+10*time.Millisecond {
			t.Errorf("stats are %+v", s)
		}
		time.Sleep(2 * time.Minute)
		if s := w.stats(0); s.QueueEvents != 0 || s.QueueBytes != 0 {
			t.Errorf("after two idle minutes, stats are %+v", s)
		}
		m.set(nil)
		w.tell(6 * time.Second)
		time.Sleep(time.Second)
		w.ledger.check(t, "the manager", m.counted())
	})
}

// TestForgotten shows that a batch which never gets an answer does not stay for ever.
func TestForgotten(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		m := w.managers(1)[0]
		w.run(w.options(groupOf(LoadBalance, m)))
		time.Sleep(time.Second)
		m.set(hang)
		w.ledger.tell(w.uplink)
		time.Sleep(50 * time.Second)
		if s := w.stats(0); s.QueueBytes == 0 || s.Dropped != 0 {
			t.Errorf("after 50 s, stats are %+v", s)
		}
		time.Sleep(20 * time.Second)
		if s := w.stats(0); s.QueueBytes != 0 || s.Dropped != 1 {
			t.Errorf("after 70 s, stats are %+v", s)
		}
		m.set(nil)
		time.Sleep(5 * time.Second)
		w.ledger.check(t, "the manager", m.counted())
	})
}

// TestHerd shows that gateways which lost a manager together do not come back
// together, and do not call more often than in good times by much.
func TestHerd(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		m := w.managers(1)[0]
		const gateways = 50
		var ends []func()
		for i := range gateways {
			o := w.options(groupOf(LoadBalance, m))
			o.Incarnation = uint64(100 + i)
			w.run(o)
			ends = append(ends, w.end)
		}
		w.end = nil
		time.Sleep(10 * time.Second)
		m.stop()
		time.Sleep(30 * time.Second)
		m.restart()
		before := len(m.headers())
		m.start()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		m.mu.Lock()
		first := make(map[uint64]time.Time)
		for i, h := range m.calls[before:] {
			if _, ok := first[h.Incarnation]; !ok {
				first[h.Incarnation] = m.at[before+i]
			}
		}
		slots := make(map[int64]int)
		for _, at := range first {
			slots[at.UnixMilli()/100]++
		}
		calls := len(m.calls) - before
		m.mu.Unlock()
		for slot, n := range slots {
			if n > gateways/4 {
				t.Errorf("%d of %d gateways come back within 100 ms, from %d", n, gateways, slot)
			}
		}
		if len(first) != gateways || calls > 2*gateways*10 {
			t.Errorf("%d gateways made %d calls in 10 s", len(first), calls)
		}
		for _, end := range ends {
			end()
		}
	})
}

// TestRestateLoop shows that a manager that always asks for a restatement is not
// told again and again without a pause.
func TestRestateLoop(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		m := w.managers(1)[0]
		m.trouble = func(m *fakeManager, rw http.ResponseWriter, _ *http.Request, h *event.Header, names []string) {
			r := m.count(h, names)
			r.Restate = true
			m.answer(rw, r)
		}
		w.run(w.options(groupOf(LoadBalance, m)))
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(m.headers()); n > 90 {
			t.Errorf("%d calls in a minute", n)
		}
	})
}

// TestBalancer shows that one URL with two managers behind it is told everything
// that matters, if not cheaply.
func TestBalancer(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		all := w.managers(2)
		n, until := 0, time.Now().Add(20*time.Second)
		all[0].trouble = func(m *fakeManager, rw http.ResponseWriter, _ *http.Request, h *event.Header, names []string) {
			if n++; time.Now().Before(until) {
				m = all[n/7%2]
			}
			m.answer(rw, m.count(h, names))
		}
		w.run(w.options(groupOf(LoadBalance, all[0])))
		w.tell(30 * time.Second)
		time.Sleep(5 * time.Second)
		w.ledger.check(t, "the manager", all[0].counted())
	})
}
