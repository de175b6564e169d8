package limiter

import (
	"math"
	"testing"
	"time"
)

func spent(l *Limiter, limit *Limit, key Key, at time.Time) int64 {
	return l.Register(at, limit, key).Spent
}

func TestRefund(t *testing.T) {
	for _, test := range []struct {
		algorithm Algorithm
		at        time.Duration // of the refund; 3 are taken at 0s, 2 more at 10s
		want      int64
	}{
		{FixedWindow, 20 * time.Second, 2},
		{FixedWindow, 59 * time.Second, 2},
		{FixedWindow, 60 * time.Second, 0}, // the window is over
		{FixedWindow, time.Hour, 0},
		{SlidingWindow, 20 * time.Second, 2},
		{SlidingWindow, 59 * time.Second, 2},
		{SlidingWindow, 62 * time.Second, 2}, // the three no longer count anyway
		{SlidingWindow, time.Hour, 0},
		{TokenBucket, 10 * time.Second, 3},  // one of five came back in time, a second is due in 2 s
		{TokenBucket, 24 * time.Second, 2},  // two have
		{TokenBucket, 120 * time.Second, 0}, // all have
	} {
		l := New(Options{})
		limit := perMinute(5)
		limit.Algorithm = test.algorithm
		first := []Check{{Limit: limit, Key: 1, N: 3}}
		ticket, _ := l.Take(t0, first)
		l.Take(at(10*time.Second), []Check{{Limit: limit, Key: 1, N: 2}})
		ticket.Refund(at(test.at))
		if got := spent(l, limit, 1, at(test.at)); got != test.want {
			t.Errorf("%v: %d are spent after a refund at %v, want %d", limit, got, test.at, test.want)
		}
	}
}

// TestRefundIsNoCredit refunds what has already flowed back into a bucket: the
// depth and what flows in is still all that passes.
func TestRefundIsNoCredit(t *testing.T) {
	l := New(Options{})
	limit := &Limit{Count: 60, Window: Window{Length: time.Minute}, Algorithm: TokenBucket, Burst: 5}
	ticket, _ := l.Take(t0, []Check{{Limit: limit, Key: 1, N: 5}})
	l.Take(at(5*time.Second), []Check{{Limit: limit, Key: 1, N: 5}})
	ticket.Refund(at(5 * time.Second))
	if got := spent(l, limit, 1, at(5*time.Second)); got != 5 {
		t.Errorf("%d are spent, want 5", got)
	}
}

func TestTicketOnce(t *testing.T) {
	limit := perMinute(100)
	for _, test := range []struct {
		name string
		use  func(ticket *Ticket)
		want int64
	}{
		{"nothing", func(*Ticket) {}, 5},
		{"refund", func(k *Ticket) { k.Refund(t0) }, 0},
		{"refund twice", func(k *Ticket) { k.Refund(t0); k.Refund(t0) }, 0},
		{"settle", func(k *Ticket) { k.Settle(t0, Requests, 3) }, 8},
		{"settle twice", func(k *Ticket) { k.Settle(t0, Requests, 3); k.Settle(t0, Requests, 3) }, 8},
		{"settle nothing", func(k *Ticket) { k.Settle(t0, Requests, 0) }, 5},
		{"settle less than was taken", func(k *Ticket) { k.Settle(t0, Requests, -4) }, 1},
		{"settle less than nothing", func(k *Ticket) { k.Settle(t0, Requests, math.MinInt64) }, 0},
		{"settle less of another cost", func(k *Ticket) { k.Settle(t0, Bytes, -4) }, 5},
		{"settle another cost", func(k *Ticket) { k.Settle(t0, Bytes, 3) }, 5},
		{"settle, refund", func(k *Ticket) { k.Settle(t0, Requests, 3); k.Refund(t0) }, 8},
		{"refund, settle", func(k *Ticket) { k.Refund(t0); k.Settle(t0, Requests, 3) }, 0},
	} {
		l := New(Options{})
		ticket, _ := l.Take(t0, []Check{{Limit: limit, Key: 1, N: 5}})
		test.use(&ticket)
		if got := spent(l, limit, 1, t0); got != test.want {
			t.Errorf("%s: %d are spent, want %d", test.name, got, test.want)
		}
	}
}

func TestTicketOfARefusal(t *testing.T) {
	l := New(Options{})
	limit := perMinute(5)
	l.Take(t0, []Check{{Limit: limit, Key: 1, N: 2}})
	for _, use := range []func(*Ticket){
		func(k *Ticket) { k.Refund(t0) },
		func(k *Ticket) { k.Settle(t0, Requests, 1) },
	} {
		ticket, ok := l.Take(t0, []Check{{Limit: limit, Key: 1, N: 4}})
		if ok {
			t.Fatal("4 of 3 passed")
		}
		use(&ticket)
		if got := spent(l, limit, 1, t0); got != 2 {
			t.Errorf("%d are spent, want 2", got)
		}
	}
	var none Ticket
	none.Refund(t0)
	none.Settle(t0, Requests, 1)
	if got := none.Refused(); got != -1 {
		t.Errorf("the zero Ticket was refused by %d, want -1", got)
	}
}

// TestTicketOfAForgottenKey settles and refunds after the key has been swept,
// evicted or given another limit.
func TestTicketOfAForgottenKey(t *testing.T) {
	limit := perMinute(5)
	take := func(l *Limiter) Ticket {
		ticket, _ := l.Take(t0, []Check{{Limit: limit, Key: 1, N: 2}})
		return ticket
	}

	l := New(Options{})
	ticket := take(l)
	l.Sweep(at(time.Hour))
	ticket.Refund(at(time.Hour))
	if n := l.Len(); n != 0 {
		t.Errorf("a refund made %d keys", n)
	}

	l = New(Options{})
	ticket = take(l)
	l.Sweep(at(time.Hour))
	ticket.Settle(at(time.Hour), Requests, 3)
	if got := spent(l, limit, 1, at(time.Hour)); got != 3 {
		t.Errorf("%d are spent, want 3", got)
	}

	l = New(Options{MaxKeys: 4})
	ticket = take(l)
	for i := range 100 {
		l.Take(t0, []Check{{Limit: limit, Key: Key(10 + i), N: 5}})
	}
	ticket.Refund(t0)
	if got := spent(l, limit, 1, t0); got < 0 || got > 5 {
		t.Errorf("%d are spent", got)
	}

	for _, a := range []Algorithm{SlidingWindow, TokenBucket} {
		l = New(Options{})
		ticket = take(l)
		other := &Limit{Count: 5, Window: Window{Length: time.Hour}, Algorithm: a}
		l.Take(t0, []Check{{Limit: other, Key: 1, N: 1}})
		ticket.Refund(t0)
		if got := spent(l, other, 1, t0); got != 3 {
			t.Errorf("%v: %d are spent, want 3", other, got)
		}
	}
}

func TestCharge(t *testing.T) {
	l := New(Options{})
	bytes := perMinute(10)
	bytes.Cost = Bytes
	checks := []Check{{Limit: perMinute(10), Key: 1, N: 1}, {Limit: bytes, Key: 2}, {Limit: bytes, Key: 3}}
	ticket, _ := l.Take(t0, checks)
	for range 3 {
		l.Charge(t0, checks, Bytes, 4)
	}
	l.Charge(t0, checks, Bytes, -4)
	l.Charge(t0, checks, Events, 4)
	for i, want := range []int64{1, 12, 12} {
		if got := spent(l, checks[i].Limit, checks[i].Key, t0); got != want {
			t.Errorf("of key %d are %d spent, want %d", checks[i].Key, got, want)
		}
	}
	if _, ok := l.Take(t0, checks); ok {
		t.Error("Take with bytes spent = true")
	}
	ticket.Refund(t0) // what Take charged, not what came later
	if got := spent(l, bytes, 2, t0); got != 12 {
		t.Errorf("%d bytes are spent, want 12", got)
	}
	l.Charge(at(time.Minute), checks, Bytes, 4)
	if got := spent(l, bytes, 2, at(time.Minute)); got != 4 {
		t.Errorf("%d bytes are spent in the next window, want 4", got)
	}
}
