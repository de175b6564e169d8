package limiter

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestFlood lets ten times as many keys come as are held at most.
func TestFlood(t *testing.T) {
	for _, a := range []Algorithm{FixedWindow, SlidingWindow, TokenBucket} {
		t.Run(a.String(), func(t *testing.T) { flood(t, a) })
	}
}

func flood(t *testing.T, a Algorithm) {
	const most = 1500
	l := New(Options{MaxKeys: most})
	random := rand.New(rand.NewPCG(1, 5))
	small := &Limit{Count: 10, Window: Window{Length: 1000 * time.Hour}, Algorithm: a}
	large := &Limit{Count: 20000, Window: Window{Length: 1000 * time.Hour}, Algorithm: a}
	take := func(limit *Limit, key Key) int {
		if _, ok := l.Take(t0, []Check{{Limit: limit, Key: key, N: 1}}); ok {
			return 1
		}
		return 0
	}

	hot := make([]int, 20)   // taken from all the time
	again := make([]int, 50) // of the flood, but comes back
	for i := range 10 * most {
		take(small, Key(random.Uint64()))
		hot[i%len(hot)] += take(large, Key(1+i%len(hot)))
		if i%20 == 0 {
			again[i/20%len(again)] += take(small, Key(1000+i/20%len(again)))
		}
		if n := l.Len(); n > most {
			t.Fatalf("%d keys are held, want at most %d", n, most)
		}
	}
	for i := range hot {
		if hot[i] < 10*most/len(hot) {
			t.Errorf("hot key %d passed %d times, want %d", i, hot[i], 10*most/len(hot))
		}
		if r := l.Register(t0, large, Key(1+i)); r.Spent != int64(hot[i]) {
			t.Errorf("hot key %d passed %d times and has %d spent", i, hot[i], r.Spent)
		}
	}
	for i := range again {
		for range 20 {
			again[i] += take(small, Key(1000+i))
		}
		if again[i] > 10 {
			t.Errorf("key %d passed %d times, want at most 10", 1000+i, again[i])
		}
	}
	var passed int
	for i := range 1000 {
		passed += take(small, Key(2000+i))
	}
	if passed < 950 {
		t.Errorf("of 1000 that had never come, only %d passed", passed)
	}

	// It passes, as floods do.
	later := at(3000 * time.Hour)
	l.Sweep(later)
	if n := l.Len(); n != 0 {
		t.Errorf("%d keys are held when all is over", n)
	}
	c := []Check{{Limit: small, Key: 1000, N: 10}}
	if _, ok := l.Take(later, c); !ok || c[0].Remaining != 0 {
		t.Errorf("Take when all is over = %v, remaining %d", ok, c[0].Remaining)
	}
}

// TestFloodOfOtherWindows floods with keys of a long window: those of a short
// one are not held to what was spent in the long one.
func TestFloodOfOtherWindows(t *testing.T) {
	l := New(Options{MaxKeys: 100})
	month := &Limit{Count: 2, Window: Window{Calendar: Month}}
	for i := range 10000 {
		l.Take(t0, []Check{{Limit: month, Key: Key(1000 + i), N: 1}})
	}
	if _, ok := l.Take(t0, []Check{{Limit: month, Key: 1, N: 1}}); ok {
		t.Error("a new key passes although what is remembered is all spent")
	}
	for i := range 1000 {
		if _, ok := l.Take(t0, []Check{{Limit: perMinute(1000), Key: Key(500000 + i), N: 1}}); !ok {
			t.Fatalf("key %d of a minute is held to a month's", i)
		}
	}
	if _, ok := l.Take(t0.AddDate(0, 1, 0), []Check{{Limit: month, Key: 1, N: 2}}); !ok {
		t.Error("a month later, a new key does not pass")
	}
}

// TestEvictionOrder fills a limiter with keys that have little and much to lose.
func TestEvictionOrder(t *testing.T) {
	l := New(Options{MaxKeys: 64})
	limit := perMinute(100)
	var precious []Key
	for i := range 64 {
		n := int64(1)
		if i%4 == 0 {
			n = 90
			precious = append(precious, Key(i))
		}
		l.Take(t0, []Check{{Limit: limit, Key: Key(i), N: n}})
	}
	for i := range 16 {
		l.Take(t0, []Check{{Limit: limit, Key: Key(100 + i), N: 1}})
	}
	for _, k := range precious {
		if l.shard(k.hash()).table.Load().find(k.hash()) == nil {
			t.Errorf("key %d was evicted with 90 %% spent", k)
		}
	}
}

// TestPlacesAreWon fills a limiter with keys that were in much use and are not any
// longer: others that are have to win their places.
func TestPlacesAreWon(t *testing.T) {
	l := New(Options{MaxKeys: 256})
	limit := &Limit{Count: 1000, Window: Window{Length: 24 * time.Hour}}
	take := func(k Key) { l.Take(t0, []Check{{Limit: limit, Key: k, N: 1}}) }
	for i := range 256 {
		for range 10 {
			take(Key(i))
		}
	}
	for range 20 {
		for i := range 128 {
			take(Key(1000 + i))
		}
	}
	held := 0
	for i := range 128 {
		h := Key(1000 + i).hash()
		if l.shard(h).table.Load().find(h) != nil {
			held++
		}
	}
	if held < 100 {
		t.Errorf("of 128 keys in use, %d are held", held)
	}
}

func TestIdleKeysAreReclaimed(t *testing.T) {
	for _, a := range []Algorithm{FixedWindow, SlidingWindow, TokenBucket} {
		l := New(Options{})
		limit := perMinute(10)
		limit.Algorithm = a
		for i := range 5000 {
			l.Take(t0, []Check{{Limit: limit, Key: Key(i), N: 1}})
		}
		c := []Check{{Limit: limit, Key: 1, N: 1}}
		l.Take(at(time.Minute), c)
		left := c[0].Remaining
		l.Sweep(at(30 * time.Second))
		if n := l.Len(); n < 4999 {
			t.Errorf("%v: %d keys are held in their window, want 5000", limit, n)
		}
		l.Sweep(at(70 * time.Second))
		if n := l.Len(); n != 1 {
			t.Errorf("%v: %d keys are held after their window, want the one in use", limit, n)
		}
		if l.Take(at(70*time.Second), c); c[0].Remaining < left-1 || c[0].Remaining == 9 && a != TokenBucket {
			t.Errorf("%v: the one in use has %d left, want about %d", limit, c[0].Remaining, left-1)
		}
		l.Sweep(at(time.Hour))
		var slots int
		for i := range l.shards {
			slots += len(l.shards[i].table.Load().slots)
		}
		if n := l.Len(); n != 0 || slots > 9*len(l.shards) {
			t.Errorf("%v: %d keys and %d slots are held when all is over", limit, n, slots)
		}
	}
}

// TestGrowthForgetsIdleKeys lets keys come that nobody sweeps.
func TestGrowthForgetsIdleKeys(t *testing.T) {
	l := New(Options{})
	limit := &Limit{Count: 1, Window: Window{Length: time.Second}}
	for i := range 40000 {
		l.Take(at(time.Duration(i)*time.Millisecond), []Check{{Limit: limit, Key: Key(i), N: 1}})
	}
	if n := l.Len(); n > 5000 {
		t.Errorf("%d keys are held of which 1000 matter", n)
	}
}
