package limiter

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestStoreClock lets a node ask a store whose clock is off, and goes at another speed,
// over a way that takes now this long and now that: what it takes for the store's time
// is never before it, and not far after.
func TestStoreClock(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		off := random.Int64N(int64(time.Hour)) - int64(30*time.Minute)
		speed := random.Int64N(400) - 200 // millionths
		store := func(local int64) int64 { return local + off + local/1_000_000*speed }
		var c storeClock
		local := int64(time.Hour)
		for i := range 200 {
			sent := local
			there := sent + random.Int64N(int64(3*time.Millisecond))
			came := there + random.Int64N(int64(3*time.Millisecond))
			at := store(there) / 1000 * 1000 // as stores tell it
			slack := c.learn(at, sent, came)
			if real := store(came); c.at(came) < real || c.at(came)-slack > real {
				t.Fatalf("seed %d, answer %d: the store has %d; taken for %d, by %d less at most", seed, i, real, c.at(came), slack)
			}
			local = came + random.Int64N(int64(time.Minute))
			if real := store(local); c.at(local) < real || c.at(local)-real > int64(40*time.Millisecond) {
				t.Fatalf("seed %d, answer %d: %v later the store's clock is taken to be %v ahead of what it is",
					seed, i, time.Duration(local-came), time.Duration(c.at(local)-real))
			}
		}
	}
}

// TestStoreClockSet sets the store's clock, as a new primary's may be: the next answer
// tells.
func TestStoreClockSet(t *testing.T) {
	const ms = int64(time.Millisecond)
	var c storeClock
	c.learn(1000*ms, 0, 2*ms)
	for i, step := range []int64{500 * ms, -500 * ms} {
		before := c.at(100 * ms)
		slack := c.learn(before+step, 100*ms, 101*ms)
		if got := c.at(101 * ms); got < before+step || got-slack > before+step+ms {
			t.Errorf("step %d: the clock is at %d after it was set from %d by %d", i, got, before, step)
		}
	}
}

// TestStoreClockWall sets the node's wall clock: nothing comes of it.
func TestStoreClockWall(t *testing.T) {
	var c storeClock
	began := time.Now()
	first := c.local(began)
	stepped := began.Add(time.Second) // also goes on by its monotonic reading
	if got := c.local(stepped); got-first != int64(time.Second) {
		t.Errorf("a second later it is %v later", time.Duration(got-first))
	}
	if c.local(began.Add(-time.Second)) != first-int64(time.Second) {
		t.Error("local times do not go along with the monotonic clock")
	}
}
