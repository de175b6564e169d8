package uplink

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

func TestClock(t *testing.T) {
	var c clock
	if _, ok := c.ahead(time.Now()); ok {
		t.Error("the difference is known before any answer")
	}
	t0 := time.Unix(1_700_000_000, 0)
	read := func(at, there, back, ahead time.Duration) {
		sent := t0.Add(at)
		c.read(sent.Add(there).Add(ahead), sent, sent.Add(there+back))
	}
	for _, tt := range []struct {
		what                   string
		at, there, back, ahead time.Duration
		want, rtt              time.Duration
	}{
		{"the first answer", 0, 30 * time.Millisecond, 10 * time.Millisecond, time.Hour, time.Hour + 10*time.Millisecond, 40 * time.Millisecond},
		{"a faster one", time.Second, 2 * time.Millisecond, 2 * time.Millisecond, time.Hour, time.Hour, 4 * time.Millisecond},
		{"a slow one", 2 * time.Second, 900 * time.Millisecond, 0, time.Hour, time.Hour, 4 * time.Millisecond},
		{"a little drift", 3 * time.Second, 2 * time.Millisecond, 2 * time.Millisecond, time.Hour + time.Millisecond, time.Hour + time.Millisecond, 4 * time.Millisecond},
		{"a clock that was set", 4 * time.Second, 20 * time.Millisecond, 20 * time.Millisecond, -time.Minute, -time.Minute, 40 * time.Millisecond},
		{"no time at all", 5 * time.Second, 0, 0, -time.Minute, -time.Minute, 0},
	} {
		read(tt.at, tt.there, tt.back, tt.ahead)
		if got, ok := c.ahead(t0.Add(tt.at)); !ok || got != tt.want || c.rtt() != tt.rtt {
			t.Errorf("after %s: ahead %v, round trip %v, want %v, %v", tt.what, got, c.rtt(), tt.want, tt.rtt)
		}
	}
	// What is believed is at most a minute old.
	for i := range remembered {
		read(time.Duration(6+i)*time.Second, 5*time.Millisecond, 5*time.Millisecond, -time.Minute)
	}
	if c.rtt() != 10*time.Millisecond {
		t.Errorf("round trip is %v, want that of the last minute", c.rtt())
	}
}

// TestClockBound holds that the error is at most half of the shortest round trip,
// whatever the others are like.
func TestClockBound(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		ahead := time.Duration(r.Int64N(int64(2*time.Hour))) - time.Hour
		var c clock
		best := time.Hour
		for i := range remembered {
			sent := time.Unix(int64(i), 0)
			there, back := time.Duration(r.ExpFloat64()*float64(20*time.Millisecond)), time.Duration(r.ExpFloat64()*float64(20*time.Millisecond))
			c.read(sent.Add(there).Add(ahead), sent, sent.Add(there+back))
			best = min(best, there+back)
		}
		if got, _ := c.ahead(time.Unix(remembered, 0)); (got - ahead).Abs() > best/2+1 {
			t.Fatalf("seed %d: %v ahead, found %v, shortest round trip %v", seed, ahead, got, best)
		}
	}
}

// setWall returns what the clocks show if somebody has moved the wall clock by whole
// seconds; t is of [time.Now].
func setWall(t time.Time, by time.Duration) time.Time {
	*(*uint64)(unsafe.Pointer(&t)) += uint64(by/time.Second) << 30
	return t
}

// TestClockSet shows that our wall clock may be set while and after a manager answers.
func TestClockSet(t *testing.T) {
	const sec, rtt = time.Second, 4 * time.Millisecond
	t0 := time.Now()
	var c clock
	for _, tt := range []struct {
		at, wall time.Duration // of our clocks
		answered bool
		ahead    time.Duration // of the manager's clock, which is an hour ahead of our first
		rtt      time.Duration
	}{
		{0, 0, true, time.Hour, rtt},
		{1 * sec, -600 * sec, false, time.Hour + 600*sec, rtt},
		{2 * sec, -600 * sec, true, time.Hour + 600*sec, rtt},
		{3 * sec, 60 * sec, false, time.Hour - 60*sec, rtt},
	} {
		if now := t0.Add(tt.at); tt.answered {
			c.read(now.Round(0).Add(time.Hour+rtt/2), setWall(now, tt.wall), setWall(now.Add(rtt), tt.wall))
		}
		if got, _ := c.ahead(setWall(t0.Add(tt.at), tt.wall)); got != tt.ahead || c.rtt() != tt.rtt {
			t.Errorf("after %v, set by %v: ahead %v, round trip %v, want %v, %v", tt.at, tt.wall, got, c.rtt(), tt.ahead, tt.rtt)
		}
	}
	if c.n != 2 {
		t.Errorf("%d answers are remembered, want both", c.n)
	}
}

// TestSkew shows that decisions come with the difference of clocks, which others
// can ask for, too.
func TestSkew(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		all := w.managers(2)
		all[0].ahead, all[1].ahead = 3*time.Minute, -5*time.Millisecond
		w.run(w.options(groupOf(LoadBalance, all[0]), groupOf(LoadBalance, all[1])))
		if _, ok := w.uplink.Skew("tm1"); ok {
			t.Error("known before it was asked")
		}
		w.tell(2 * time.Second)
		for issuer, want := range map[string]time.Duration{"tm1": 3 * time.Minute, "tm2": -5 * time.Millisecond} {
			if got, ok := w.uplink.Skew(issuer); !ok || got != want {
				t.Errorf("%s is %v ahead (%v), want %v", issuer, got, ok, want)
			}
		}
		if _, ok := w.uplink.Skew("tm3"); ok {
			t.Error("tm3 is known")
		}
		if w.log.count("clock differs") != 1 || w.log.count("manager_ahead=3m0s") != 1 {
			t.Errorf("logged %s", w.log)
		}
		all[0].mu.Lock()
		all[0].ahead = 0 // somebody set it
		all[0].mu.Unlock()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if got, _ := w.uplink.Skew("tm1"); got != 0 || w.log.count("clock agrees") != 1 {
			t.Errorf("it is %v ahead, logged %s", got, w.log)
		}
	})
}
