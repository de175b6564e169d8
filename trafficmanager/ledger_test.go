package trafficmanager

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/limiter"
)

// TestLedger holds a ledger against maps, by chance: windows of several lengths,
// which end, and restatements that come in again and again.
func TestLedger(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	l := &ledger{room: new(room)}
	l.room.left.Store(1 << 20)
	type at struct {
		k    limiter.Key
		ends int64
	}
	told, sums := map[at]int64{}, map[at]int64{}
	for now := range int64(200_000) {
		k := limiter.Key(1 + rng.Uint64N(500)*0x9e3779b97f4a7c15)
		length := int64(100) << (k % 8)
		ends := now - now%length + length
		if rng.IntN(20) == 0 {
			l.add(k, ends-length, 1, now) // late: no window that is open
		}
		n := rng.Int64N(10)
		a := at{k, ends}
		switch rng.IntN(4) {
		case 0:
			sums[a] += n
			want := max(sums[a]-told[a], 0)
			told[a] += want
			if got := l.restate(k, ends, n, now); got != want {
				t.Fatalf("at %d: %d are missing of %v, want %d", now, got, a, want)
			}
		case 1:
			if rng.IntN(100) == 0 {
				l.begin()
				clear(sums)
			}
			if rng.IntN(1000) == 0 {
				l.compact(time.Unix(0, now), nil)
			}
		default:
			l.add(k, ends, n, now)
			told[a] += n
		}
	}
	if len(l.told.slots) > 2048 {
		t.Errorf("there are %d registers of 500 keys", len(l.told.slots))
	}
	l.forget()
	if left := l.room.left.Load(); left != 1<<20 {
		t.Errorf("room for %d is left, want all", left)
	}
}

// TestLedgerOver forgets windows that are over, so that a flood of keys takes
// memory for as long as its windows, and no longer (I14).
func TestLedgerOver(t *testing.T) {
	l := &ledger{room: new(room)}
	l.room.left.Store(1 << 20)
	for now := range int64(100_000) {
		l.add(limiter.Key(1+uint64(now)*0x9e3779b97f4a7c15), now+1000, 1, now)
	}
	if n := len(l.told.slots); n > 8192 {
		t.Errorf("there are %d registers of 1000 keys", n)
	}
	l.compact(time.Unix(0, 1<<40), nil)
	if n := len(l.told.slots); n > fewest {
		t.Errorf("there are %d registers of no key", n)
	}
}

// TestMaxTold shows what there is no room for: it is counted, but not again by a
// restatement, which brings nothing of it.
func TestMaxTold(t *testing.T) {
	w := newWorldOf(t, gold(perMinute(1000)), Options{MaxTold: 4 * fewest})
	h := event.Header{Incarnation: 1, Seq: 1, First: true, Restates: true}
	w.send(0, &h)
	tell := func(n int64, part func(string, time.Duration, int64) weir.Event) {
		var events []weir.Event
		for i := range 1000 {
			events = append(events, part(fmt.Sprint(i), 0, n))
		}
		h.Seq++
		w.send(0, &h, events...)
	}
	used := func() (sum int64) {
		for i := range 1000 {
			sum += w.used(0, of(fmt.Sprint(i), 0, 0))
		}
		return sum
	}
	h.First, h.Restates = false, false
	tell(2, of)
	if n := used(); n != 2000 {
		t.Errorf("2000 events count as %d", n)
	}
	h.First, h.Restates = true, true
	tell(5, func(app string, d time.Duration, n int64) weir.Event {
		e := of(app, d, 0)
		e.Open = restated(d, n).Open
		return e
	})
	if n := used(); n > 5000 || n < 2000 {
		t.Errorf("then they count as %d", n)
	}
	if left := w.nodes.room.left.Load(); left < 0 {
		t.Errorf("the room left is %d", left)
	}
	// When the windows are over there is room again.
	w.Sweep(t0.Add(2 * time.Minute))
	h.First, h.Restates = false, false
	h.Seq++
	w.send(3*time.Minute, &h, call(3*time.Minute, 5))
	h.First, h.Restates = true, true
	h.Seq++
	w.send(3*time.Minute, &h, restated(3*time.Minute, 8))
	w.wantUsed(3*time.Minute, 8)
}

// TestRestatedClocks restates what a gateway has told whose clock is off: its
// windows are its own.
func TestRestatedClocks(t *testing.T) {
	for _, off := range []time.Duration{0, 100 * time.Millisecond, 20 * time.Second, -7 * time.Minute} {
		w := newWorld(t, gold(perMinute(1000)))
		h := event.Header{Incarnation: 1, First: true, Restates: true, Manager: w.ID(), Skew: -off}
		send := func(at time.Duration, first bool, e ...weir.Event) {
			h.Seq++
			h.Sent, h.First, h.Restates = t0.Add(at+off), first, first
			w.send(at, &h, e...)
		}
		send(0, true)
		send(10*time.Second, false, call(10*time.Second+off, 5))
		send(12*time.Second, false, call(12*time.Second+off, 5))
		send(14*time.Second, true, restated(14*time.Second+off, 10))
		w.wantUsed(15*time.Second, 10)
		send(16*time.Second, true, restated(16*time.Second+off, 13))
		w.wantUsed(17*time.Second, 13)
	}
}
