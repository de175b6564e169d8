package uplink

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-project/weir"
)

// TestFormer shows how a run ends that another takes the place of, on a host with
// another clock: its own clock stays known for as long as its decisions hold.
func TestFormer(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		m := w.managers(1)[0]
		// It has made as many decisions as version says, and taken all back.
		become := func(run uint64, issuer string, version uint64, ahead time.Duration) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.run, m.issuer, m.version, m.ahead = run, issuer, version, ahead
			m.decisions, m.peers = make([]weir.Decision, version), make(map[uint64]*peer)
		}
		become(1, "tm1", 7, 3*time.Minute)
		w.run(w.options(groupOf(LoadBalance, m)))
		begin := time.Now()
		end := "the end of tm1"
		for _, s := range []struct {
			at     time.Duration
			change func()
			heard  []string
			skews  map[string]time.Duration // of those that are known
		}{
			{at: 5 * time.Second, heard: []string{"all of tm1 up to 7: 0, 3m0s"}, skews: map[string]time.Duration{"tm1": 3 * time.Minute}},
			{
				at: 8 * time.Second, change: func() { become(2, "tm1b", 2, -time.Minute) },
				heard: []string{"all of tm1b up to 2: 0, -1m0s"},
				skews: map[string]time.Duration{"tm1": 3 * time.Minute, "tm1b": -time.Minute},
			},
			{at: 14 * time.Second, skews: map[string]time.Duration{"tm1": 3 * time.Minute, "tm1b": -time.Minute}},
			{at: 18 * time.Second, heard: []string{end}, skews: map[string]time.Duration{"tm1b": -time.Minute}},
			{
				at: 21 * time.Second, change: func() { become(1, "tm1", 9, 3*time.Minute) },
				heard: []string{"all of tm1 up to 9: 0, 3m0s"},
				skews: map[string]time.Duration{"tm1": 3 * time.Minute, "tm1b": -time.Minute},
			},
		} {
			if s.change != nil {
				s.change()
			}
			time.Sleep(time.Until(begin.Add(s.at)))
			synctest.Wait()
			if got := w.heard.take(); !slices.Equal(got, s.heard) {
				t.Errorf("until %v, heard %q, want %q", s.at, got, s.heard)
			}
			for _, issuer := range []string{"tm1", "tm1b"} {
				want, known := s.skews[issuer]
				if got, ok := w.uplink.Skew(issuer); ok != known || got != want {
					t.Errorf("at %v, %s is %v ahead (%v), want %v (%v)", s.at, issuer, got, ok, want, known)
				}
			}
		}
	})
}

// TestRetireAnswers shows that a run which answers elsewhere is not taken for ended.
func TestRetireAnswers(t *testing.T) {
	w := newWorld(t)
	u, err := New(w.options(groupOf(LoadBalance, &fakeManager{address: "127.0.0.1:1"}, &fakeManager{address: "127.0.0.1:2"})))
	if err != nil {
		t.Fatal(err)
	}
	t0 := time.Unix(1_700_000_000, 0)
	a, b := u.groups[0].links[0], u.groups[0].links[1]
	a.succeed(t0, "tm1", "tm2", reading{})
	a.phase, b.stats.Issuer = joined, "tm1"
	for _, s := range []struct {
		after time.Duration
		again string // whom b's answer is of
		heard int
		waits int
	}{
		{outlive - 1, "tm1", 0, 1}, {outlive, "tm1", 0, 0}, {2 * outlive, "tm3", 0, 0},
	} {
		b.stats.Issuer = s.again
		a.retireFormer(t0.Add(s.after))
		if got := len(w.heard.take()); got != s.heard || len(a.former) != s.waits {
			t.Errorf("after %v: %d ended, %d wait to, want %d, %d", s.after, got, len(a.former), s.heard, s.waits)
		}
	}
	a.succeed(t0, "tm1", "tm2", reading{})
	if a.retireFormer(t0.Add(outlive)); len(w.heard.take()) != 1 {
		t.Error("a run that answers nowhere has not ended")
	}
}
