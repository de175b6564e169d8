package limiter

import (
	"testing"
	"time"
)

func TestBytes(t *testing.T) {
	l := New(Options{})
	limit := perMinute(1000)
	limit.Cost = Bytes
	c := []Check{{Limit: limit, Key: 1, N: 400}}
	ticket, ok := l.Take(t0, c)
	if !ok || c[0].Remaining != 600 {
		t.Fatalf("Take = %v, remaining %d; want true, 600", ok, c[0].Remaining)
	}
	ticket.Settle(t0, Requests, 1) // counts nothing here, but is the one settling
	ticket.Settle(t0, Bytes, 1000)
	c[0].N = 0
	ticket, ok = l.Take(t0, c)
	if !ok || c[0].Remaining != 600 {
		t.Fatalf("Take = %v, remaining %d; want true, 600", ok, c[0].Remaining)
	}
	ticket.Settle(t0, Bytes, 599)
	c[0].N = 5000 // whatever it asks for: one byte is left
	if ticket, ok = l.Take(t0, c); !ok || c[0].Remaining != 0 {
		t.Fatalf("Take with a byte left = %v, remaining %d; want true, 0", ok, c[0].Remaining)
	}
	if _, ok = l.Take(t0, c); ok {
		t.Fatal("Take with nothing left = true")
	}
	ticket.Settle(at(time.Minute), Bytes, 300) // in the window that holds then
	c[0].N = 0
	if _, ok = l.Take(at(time.Minute), c); !ok || c[0].Remaining != 700 {
		t.Fatalf("Take = %v, remaining %d; want true, 700", ok, c[0].Remaining)
	}
}

// TestDebts lets more be spent than there is, by what is known late.
func TestDebts(t *testing.T) {
	for _, test := range []struct {
		algorithm Algorithm
		until     time.Duration // nothing passes before, and one does then
	}{
		{FixedWindow, time.Minute},
		{SlidingWindow, 31 * 2 * time.Second},
		{TokenBucket, 151 * time.Second}, // 250 of 100 are spent, and 1 a second comes back
	} {
		l := New(Options{})
		limit := &Limit{Count: 60, Window: Window{Length: time.Minute}, Cost: Bytes, Algorithm: test.algorithm}
		if test.algorithm == TokenBucket {
			limit.Burst = 100
		}
		if test.algorithm == SlidingWindow {
			limit.Window.Length = 31 * 2 * time.Second
			test.until += 2 * time.Second // the bucket that it is in
		}
		checks := []Check{{Limit: limit, Key: 1}}
		ticket, _ := l.Take(t0, checks)
		ticket.Settle(t0, Bytes, 250)
		l.Sweep(at(time.Second)) // a debt is not forgotten
		if _, ok := l.Take(at(test.until-1), checks); ok {
			t.Errorf("%v: Take before the debt is paid = true", limit)
		}
		if got := checks[0].Reset; got != 1 {
			t.Errorf("%v: a nanosecond before the debt is paid Reset is %v", limit, got)
		}
		if _, ok := l.Take(at(test.until), checks); !ok {
			t.Errorf("%v: Take when the debt is paid = false, reset %v", limit, checks[0].Reset)
		}
	}
}
