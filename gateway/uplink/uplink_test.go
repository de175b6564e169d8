package uplink

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
)

// TestTells shows the way of things when all is well.
func TestTells(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		m := w.managers(1)[0]
		m.decisions, m.version = []weir.Decision{{Text: "a", Ends: time.Now().Add(time.Hour)}}, 1
		w.run(w.options(groupOf(LoadBalance, m)))
		w.tell(time.Second)
		m.mu.Lock()
		m.decisions, m.version = append(m.decisions, weir.Decision{Text: "b", Issuer: "tm1", Ends: time.Now()}, weir.Decision{Text: "c", Issuer: "else", Ends: time.Now()}), 3
		m.mu.Unlock()
		w.tell(time.Second)
		synctest.Wait()
		w.ledger.check(t, "the manager", m.counted())

		hs := m.headers()
		if h := hs[0]; h.Seq != 0 || h.Node != "g1" || h.Incarnation != 77 || h.Manager != 0 || h.Version != 0 || time.Since(h.Sent) > 2*time.Second {
			t.Errorf("the first call is %+v, want one without events", h)
		}
		if h := hs[1]; h.Seq != 1 || !h.Restates || !h.First || h.Manager != m.run || h.Version != 1 {
			t.Errorf("the second call is %+v, want a restatement", h)
		}
		seq := uint64(1)
		for _, h := range hs[2:] {
			if seq++; h.Seq != seq || h.Restates || h.First || h.Manager != m.run {
				t.Fatalf("a call is %+v, want number %d", h, seq)
			}
		}
		if last := hs[len(hs)-1]; last.Version != 3 {
			t.Errorf("the last call is %+v, want version 3", last)
		}
		if got, want := w.heard.take(), []string{"all of tm1 up to 1: 1, 0s", "b 0s", "c 0s"}; !slices.Equal(got, want) {
			t.Errorf("heard %q, want %q", got, want)
		}
		s := w.stats(0)
		if s.State != Up || s.Issuer != "tm1" || s.Group != 1 || s.Sent != s.Acknowledged || s.Restatements != 1 || s.Decisions != 3 ||
			s.Repeated+s.Dropped+s.Refused+s.Late != 0 || s.LastError != "" || s.QueueEvents+s.QueueBytes != 0 || s.Sent+5 < uint64(len(w.ledger.names)) {
			t.Errorf("stats are %+v", s)
		}
		if got := w.log.String(); got != "" {
			t.Errorf("logged %s", got)
		}
	})
}

// TestHeartbeat shows that decisions are heard while there is nothing to tell.
func TestHeartbeat(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		m := w.managers(1)[0]
		w.run(w.options(groupOf(LoadBalance, m)))
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(m.headers()); n < 57 || n > 68 {
			t.Errorf("%d calls in a minute, want one a second", n)
		}
		seen := make(map[time.Duration]bool)
		for i, h := range m.headers()[2:] {
			if h.Seq != 0 {
				t.Fatalf("a call without events is %+v", h)
			}
			d := m.at[i+2].Sub(m.at[i+1])
			seen[d] = true
			if d < 800*time.Millisecond || d > 1200*time.Millisecond {
				t.Errorf("two calls are %v apart", d)
			}
		}
		if len(seen) < 20 {
			t.Errorf("calls are one of %d durations apart, want jitter", len(seen))
		}
	})
}

// TestRestatement shows that a manager that starts, at first or again, is told
// what was counted before, once.
func TestRestatement(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		m := newFake(t, w.net, "127.0.0.1:1")
		w.ledger.size = 100 << 10 // so that a restatement takes several calls
		w.run(w.options(groupOf(LoadBalance, m)))
		for range 12 {
			w.ledger.tell(w.uplink)
		}
		time.Sleep(15 * time.Second)
		m.start()
		time.Sleep(5 * time.Second)
		w.ledger.check(t, "a late manager", m.counted())
		var got []string
		for _, h := range m.headers() {
			got = append(got, fmt.Sprint(h.Seq, h.Restates, h.First))
		}
		if want := []string{"0 false false", "1 true true", "2 true false", "3 true false"}; !slices.Equal(got[:4], want) {
			t.Errorf("calls are %q, want %q", got[:4], want)
		}

		m.restart() // unnoticed
		w.ledger.tell(w.uplink)
		time.Sleep(time.Second)
		w.ledger.check(t, "a manager that restarted", m.counted())
		if s := w.stats(0); s.Restatements != 2 {
			t.Errorf("stats are %+v, want 2 restatements", s)
		}

		m.stop()
		m.restart()
		w.ledger.tell(w.uplink)
		time.Sleep(10 * time.Second)
		w.ledger.tell(w.uplink)
		m.start()
		time.Sleep(5 * time.Second)
		w.ledger.check(t, "a manager that was away", m.counted())
		if n := w.log.count("answers again"); n != 2 {
			t.Errorf("logged %d times that it is back, want 2:\n%s", n, w.log)
		}
	})
}

// TestInterruptedRestatement shows that a restatement begins again if the manager
// restarts in the middle of it.
func TestInterruptedRestatement(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		m := w.managers(1)[0]
		w.ledger.size = 100 << 10
		restarts := 0
		m.trouble = func(m *fakeManager, rw http.ResponseWriter, _ *http.Request, h *event.Header, names []string) {
			if h.Restates && !h.First && restarts < 3 {
				restarts++
				m.restart()
			}
			m.answer(rw, m.count(h, names))
		}
		for range 20 {
			w.ledger.note()
		}
		w.run(w.options(groupOf(LoadBalance, m)))
		time.Sleep(5 * time.Second)
		w.ledger.check(t, "the manager", m.counted())
		if restarts != 3 {
			t.Errorf("%d restarts, want 3", restarts)
		}
	})
}

// TestEventsOfRestatement shows that Events that come after a restatement that has
// them already are not told.
func TestEventsOfRestatement(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		m := w.managers(1)[0]
		w.ledger.note()
		w.ledger.note()
		w.run(w.options(groupOf(LoadBalance, m)))
		time.Sleep(time.Second)
		w.uplink.Events(1, body("000001", 1))
		w.uplink.Events(2, body("000002", 1))
		w.ledger.tell(w.uplink)
		time.Sleep(time.Second)
		w.ledger.check(t, "the manager", m.counted())
	})
}

// TestSharedBodies shows that many bodies that wait go in one call, that calls
// have a bounded size, and that the bodies are not changed.
func TestSharedBodies(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		m := w.managers(1)[0]
		m.trouble = func(m *fakeManager, rw http.ResponseWriter, _ *http.Request, h *event.Header, names []string) {
			time.Sleep(100 * time.Millisecond) // it is slow
			m.answer(rw, m.count(h, names))
		}
		w.run(w.options(groupOf(LoadBalance, m)))
		time.Sleep(time.Second)
		w.tell(time.Second)
		w.ledger.size = 300 << 10
		for range 5 {
			w.ledger.tell(w.uplink)
		}
		w.ledger.size = 600 << 10
		w.ledger.tell(w.uplink)
		time.Sleep(2 * time.Second)
		w.ledger.check(t, "the manager", m.counted())
		m.mu.Lock()
		defer m.mu.Unlock()
		most := 0
		for _, names := range m.bodies {
			most = max(most, len(names))
			size := 0
			for _, n := range names {
				size += len(n)
			}
			if len(names) > 1 && size > callSize {
				t.Errorf("a call of %d bodies has %d bytes", len(names), size)
			}
		}
		if most < 8 {
			t.Errorf("at most %d bodies in a call, want about 10", most)
		}
	})
}

// TestStops shows that what was told last is still sent, and that Run ends.
func TestStops(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		m := w.managers(1)[0]
		w.run(w.options(groupOf(LoadBalance, m)))
		w.tell(time.Second)
		for range 10 {
			w.ledger.tell(w.uplink)
		}
		start := time.Now()
		w.end()
		w.ledger.check(t, "the manager", m.counted())
		if d := time.Since(start); d > 100*time.Millisecond {
			t.Errorf("Run took %v to end", d)
		}
	})
	bubble(t, func(t *testing.T, w *world) {
		m := w.managers(2)
		m[0].trouble, m[1].trouble = hang, status(503, "", nil)
		down := newFake(t, w.net, "127.0.0.1:9")
		w.run(w.options(groupOf(LoadBalance, m[0], m[1], down)))
		w.tell(5 * time.Second)
		start := time.Now()
		w.end()
		if d := time.Since(start); d > time.Second {
			t.Errorf("Run took %v to end", d)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	w := newWorld(t)
	one := func(url string) Options { return w.options(Group{Managers: []Manager{{URL: url}}}) }
	with := func(o Options, change func(*Options)) Options { change(&o); return o }
	for _, tt := range []struct {
		name, want string
		options    Options
	}{
		{"no groups", "Groups is missing", w.options()},
		{"an empty group", "group 1 has no managers", w.options(Group{})},
		{"an unknown type", "unknown type", w.options(Group{Managers: []Manager{{URL: "https://localhost"}}, Type: 7})},
		{"no restatement", "Restate is missing", with(one("https://localhost"), func(o *Options) { o.Restate = nil })},
		{"no decisions", "Decide is missing", with(one("https://localhost"), func(o *Options) { o.Decide = nil })},
		{"no snapshots", "DecideAll is missing", with(one("https://localhost"), func(o *Options) { o.DecideAll = nil })},
		{"no ends", "Retire is missing", with(one("https://localhost"), func(o *Options) { o.Retire = nil })},
		{"a long name", "Node has 256 bytes", with(one("https://localhost"), func(o *Options) { o.Node = strings.Repeat("n", 256) })},
		{"a name of bytes", "UTF-8", with(one("https://localhost"), func(o *Options) { o.Node = "\xff" })},
		{"a negative age", "QueueAge is negative", with(one("https://localhost"), func(o *Options) { o.QueueAge = -1 })},
		{"a negative size", "QueueBytes is negative", with(one("https://localhost"), func(o *Options) { o.QueueBytes = -1 })},
		{"no URL", `"tm1_url": it is no URL`, one("tm1_url")},
		{"twice", "there twice", w.options(groupOf(LoadBalance, &fakeManager{address: "localhost:1"}), groupOf(LoadBalance, &fakeManager{address: "LOCALHOST:1"}))},
		{"http elsewhere", "write https", with(one("http://tm1"), func(o *Options) { o.User, o.Password = "u", "p" })},
		{"blank", "blank", one("https://tm1")},
		{"half blank", "blank", with(one("https://tm1"), func(o *Options) { o.User = "u" })},
		{"known to everybody", "everybody knows", with(one("https://tm1"), func(o *Options) { o.User, o.Password = "admin", "admin" })},
		{"a colon", "colon", with(one("https://tm1"), func(o *Options) { o.User, o.Password = "a:b", "c" })},
	} {
		_, err := New(tt.options)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error is %v, want %q in it", tt.name, err, tt.want)
		}
	}
	many := make([]Manager, 65)
	for i := range many {
		many[i].URL = fmt.Sprintf("https://localhost:%d", i+1)
	}
	if _, err := New(w.options(Group{Managers: many})); err == nil {
		t.Error("65 managers are fine")
	}
	for _, o := range []Options{
		one("https://localhost"),
		with(one("http://127.0.0.1"), func(o *Options) { o.User, o.Password = "admin", "admin" }),
		with(one("https://tm1"), func(o *Options) { o.User, o.Password = "admin", "admin1" }),
	} {
		if _, err := New(o); err != nil {
			t.Error(err)
		}
	}
}

func TestCount(t *testing.T) {
	two := append(body("a", 3), body("b", 2)...)
	for _, tt := range []struct {
		body event.Body
		want int
	}{{nil, 0}, {body("a", 0), 0}, {body("a", 3), 3}, {two, 5}, {two[:len(two)-1], 3}, {event.Body("garbage"), 0}} {
		if got := count(tt.body); got != tt.want {
			t.Errorf("% x has %d events, want %d", tt.body, got, tt.want)
		}
	}
}
