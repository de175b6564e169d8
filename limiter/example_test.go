package limiter_test

import (
	"fmt"
	"time"

	"github.com/weir-project/weir/limiter"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func Example() {
	l := limiter.New(limiter.Options{})
	limit := &limiter.Limit{Count: 3, Window: limiter.Window{Length: time.Minute}}
	key := limiter.NewSeed().Key("alice")

	for i := range 4 {
		checks := []limiter.Check{{Limit: limit, Key: key, N: 1}}
		_, ok := l.Take(noon.Add(time.Duration(i)*time.Second), checks)
		fmt.Println(ok, checks[0].Remaining, checks[0].Reset)
	}
	// Output:
	// true 2 1m0s
	// true 1 59s
	// true 0 58s
	// false 0 57s
}

// A call has to pass a burst limit and a daily quota. What the one refuses is
// not taken from the other.
func ExampleLimiter_Take() {
	l := limiter.New(limiter.Options{})
	seed := limiter.NewSeed()
	burst := &limiter.Limit{Count: 2, Window: limiter.Window{Length: time.Second}}
	quota := &limiter.Limit{Count: 1000, Window: limiter.Window{Calendar: limiter.Day}}

	for range 3 {
		checks := []limiter.Check{
			{Limit: quota, Key: seed.Key("quota", "alice"), N: 1},
			{Limit: burst, Key: seed.Key("burst", "alice"), N: 1},
		}
		ticket, ok := l.Take(noon, checks)
		fmt.Println(ok, ticket.Refused(), "of the quota are left", checks[0].Remaining)
	}
	// Output:
	// true -1 of the quota are left 999
	// true -1 of the quota are left 998
	// false 1 of the quota are left 998
}

// The size of an answer is known when it has been sent.
func ExampleTicket_Settle() {
	l := limiter.New(limiter.Options{})
	limit := &limiter.Limit{Count: 10 << 10, Window: limiter.Window{Length: time.Hour}, Cost: limiter.Bytes}

	for range 3 {
		checks := []limiter.Check{{Limit: limit, Key: 1}}
		ticket, ok := l.Take(noon, checks)
		fmt.Println(ok, checks[0].Remaining)
		ticket.Settle(noon, limiter.Bytes, 8<<10)
	}
	// Output:
	// true 10240
	// true 2048
	// false 0
}

// A backend that could not be reached costs nothing.
func ExampleTicket_Refund() {
	l := limiter.New(limiter.Options{})
	limit := &limiter.Limit{Count: 5, Window: limiter.Window{Length: time.Minute}}
	checks := []limiter.Check{{Limit: limit, Key: 1, N: 1}}

	ticket, _ := l.Take(noon, checks)
	ticket.Refund(noon)

	l.Peek(noon, checks)
	fmt.Println(checks[0].Remaining)
	// Output: 5
}

// A limit is changed by making another one for the same key.
func ExampleLimit() {
	l := limiter.New(limiter.Options{})
	bronze := &limiter.Limit{Count: 2, Window: limiter.Window{Length: time.Minute}}
	gold := &limiter.Limit{Count: 100, Window: limiter.Window{Length: time.Minute}}

	for _, limit := range []*limiter.Limit{bronze, bronze, bronze, gold} {
		checks := []limiter.Check{{Limit: limit, Key: 1, N: 1}}
		_, ok := l.Take(noon, checks)
		fmt.Printf("%v: %v, %d left\n", limit, ok, checks[0].Remaining)
	}
	// Output:
	// 2 requests per 1m: true, 1 left
	// 2 requests per 1m: true, 0 left
	// 2 requests per 1m: false, 0 left
	// 100 requests per 1m: true, 97 left
}

func ExampleLimit_String() {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, limit := range []limiter.Limit{
		{Count: 5000, Window: limiter.Window{Length: time.Minute}},
		{Count: 10, Window: limiter.Window{Calendar: limiter.Month, Location: berlin}},
		{Count: 100, Window: limiter.Window{Length: time.Hour}, Algorithm: limiter.SlidingWindow},
		{Count: 60, Window: limiter.Window{Length: time.Minute}, Algorithm: limiter.TokenBucket, Burst: 10},
	} {
		fmt.Println(&limit)
	}
	// Output:
	// 5000 requests per 1m
	// 10 requests per calendar month (Europe/Berlin)
	// 100 requests in any 1h
	// 60 requests per 1m, up to 10 at once
}

// Windows of the calendar know of summer time: this day has 23 hours.
func ExampleWindow_Bounds() {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		fmt.Println(err)
		return
	}
	w := limiter.Window{Calendar: limiter.Day, Location: berlin}
	begin, end := w.Bounds(time.Date(2026, 3, 29, 12, 0, 0, 0, berlin))
	fmt.Println(begin)
	fmt.Println(end)
	fmt.Println(end.Sub(begin))
	// Output:
	// 2026-03-29 00:00:00 +0100 CET
	// 2026-03-30 00:00:00 +0200 CEST
	// 23h0m0s
}

func ExampleAppendState() {
	l := limiter.New(limiter.Options{})
	limit := &limiter.Limit{Count: 100, Window: limiter.Window{Length: time.Minute}}
	checks := []limiter.Check{{Limit: limit, Key: 1, N: 1}}
	l.Take(noon, checks)

	fmt.Printf("RateLimit-Policy: %s\n", limiter.AppendPolicy(nil, "burst", limit))
	fmt.Printf("RateLimit: %s\n", limiter.AppendState(nil, "burst", &checks[0]))
	// Output:
	// RateLimit-Policy: "burst";q=100;w=60
	// RateLimit: "burst";r=99;t=60
}

// Two nodes share a limit: each is told what the other has.
