package test

import (
	"testing"
	"time"
)

// TestFleetMicrogateways is the document's own example: with a limit of ten, three
// gateways let thirty through; and ten once they work together.
func TestFleetMicrogateways(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 10)
	tm := f.manager("")
	documented(t, f, tm, tm.throttlingConfig(""))
}

// documented holds three gateways to what the document says.
func documented(t *testing.T, f *fleet, tm *managerProcess, conf string) {
	alone := []*gatewayProcess{f.micro(""), f.micro(""), f.micro("")}
	passed := 0
	for i := range 60 {
		if f.call(t, alone[i%3]).StatusCode == 200 {
			passed++
		}
	}
	if passed != 30 {
		t.Errorf("%d of 60 passed three gateways that work alone, want 30", passed)
	}

	together := []*gatewayProcess{f.micro(conf), f.micro(conf), f.micro(conf)}
	for _, g := range together {
		g.awaitJoined(t)
	}
	f.passSlowly(t, 0, 10, []*managerProcess{tm}, together...)
	awaitHeard(t, 1, together...)
	for i := range 12 {
		r := f.call(t, together[i%3]).want(t, 429, "900804")
		truthful(t, r)
	}
	if hits := f.hits(); hits != 30+10 {
		t.Errorf("%d calls reached the backend, want 40", hits)
	}
}

// truthful holds what a refusal says of a limit of ten a day to what is known of it.
func truthful(t *testing.T, r reply) {
	t.Helper()
	left := time.Until(time.Now().Truncate(24 * time.Hour).Add(24 * time.Hour)).Seconds()
	for _, name := range []string{"Retry-After", "X-RateLimit-Reset"} {
		if n := float64(r.number(name)); n < left-5 || n > left+5 {
			t.Errorf("%s is %q, and the day ends in %.0f s", name, r.Header.Get(name), left)
		}
	}
	if r.number("X-RateLimit-Limit") != 10 || r.number("X-RateLimit-Remaining") != 0 {
		t.Errorf("X-RateLimit-Limit is %q and X-RateLimit-Remaining %q, want 10 and 0",
			r.Header.Get("X-RateLimit-Limit"), r.Header.Get("X-RateLimit-Remaining"))
	}
	if got := r.refusal(t); got.Level != "subscription" || got.Policy != "Plan" || got.NextAccessTime == "" {
		t.Errorf("the refusal says %s", r.text)
	}
}
