package limiter

import (
	"testing"
	"time"
)

func TestTakeAllocs(t *testing.T) {
	for _, a := range []Algorithm{FixedWindow, SlidingWindow, TokenBucket} {
		l := New(Options{})
		limit, small := perMinute(1<<40), perMinute(1)
		limit.Algorithm, small.Algorithm = a, a
		day := &Limit{Count: 1 << 40, Window: Window{Calendar: Day, Location: zone(t, "Europe/Berlin")}}
		seed := NewSeed()
		now := t0
		for name, f := range map[string]func(){
			"one check": func() {
				checks := [1]Check{{Limit: limit, Key: seed.Key("api", "v1"), N: 1}}
				ticket, _ := l.Take(now, checks[:])
				ticket.Settle(now, Requests, 1)
			},
			"32 checks": func() {
				var checks [32]Check
				for i := range checks {
					checks[i] = Check{Limit: limit, Key: Key(i), N: 1}
				}
				checks[31].Limit, checks[31].Key = day, 100
				ticket, _ := l.Take(now, checks[:])
				ticket.Refund(now)
			},
			"a refusal": func() {
				l.Take(now, []Check{{Limit: limit, Key: 1, N: 1}, {Limit: small, Key: 200, N: 2}})
			},
			"a new window": func() {
				now = now.Add(time.Hour)
				l.Take(now, []Check{{Limit: limit, Key: 1, N: 1}, {Limit: small, Key: 200, N: 1}})
			},
			"a sweep": func() { l.Sweep(now) },
			"the rest": func() {
				checks := [1]Check{{Limit: limit, Key: 1, N: 1}}
				l.Charge(now, checks[:], Requests, 1)
				l.Register(now, limit, 1)
			},
		} {
			if n := testing.AllocsPerRun(200, f); n != 0 {
				t.Errorf("%v: %s: %v allocations, want none", a, name, n)
			}
		}
	}
}

// TestNewKeyAllocs lets keys come that are not held: memory is only needed for
// a larger table, now and then, and not at all when the limiter is full.
func TestNewKeyAllocs(t *testing.T) {
	l := New(Options{MaxKeys: 4096})
	limit := perMinute(1000)
	checks := []Check{{Limit: limit, N: 1}, {Limit: limit, N: 1}}
	key := Key(0)
	take := func() {
		checks[0].Key, checks[1].Key = key, key+1
		key += 2
		l.Take(t0, checks)
	}
	if n := testing.AllocsPerRun(2000, take); n >= 1 {
		t.Errorf("%v allocations for two new keys of a limiter that grows, want less than one", n)
	}
	if n := testing.AllocsPerRun(2000, take); n >= 1 {
		t.Errorf("%v allocations for two new keys of a full limiter, want less than one", n)
	}
}
