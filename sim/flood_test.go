package sim

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/upstream"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// TestFloodOfAddresses has far more addresses call an open API than there may be
// counters, while one address calls all the time: it is held to its limit in every
// window, the counters stay within their bound, and nobody is refused who asks for
// the first time in his window, as long as there is room (I8, I14, W24).
func TestFloodOfAddresses(t *testing.T) {
	const (
		maxKeys = 4096
		limit   = 50
		calls   = 100_000
	)
	counters := limiter.New(limiter.Options{MaxKeys: maxKeys})
	g, err := gateway.New(gateway.Options{Limiter: counters, Targets: new(upstream.Registry)})
	if err != nil {
		t.Fatal(err)
	}
	err = g.Apply(gateway.Definition{
		APIs: []gateway.API{{
			Name: "open", Version: "1", Context: "/open", DisableSecurity: true,
			Production: &gateway.Endpoints{URLs: []string{"http://127.0.0.1:1"}},
			Resources:  []gateway.Resource{{Method: "GET", Template: "/"}},
		}},
		Policies: policy.Definition{Policies: []policy.Policy{{
			Kind: policy.Subscription, Name: "Unauthenticated",
			Limit: &limiter.Limit{Count: limit, Window: limiter.Window{Length: time.Minute}},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var x gateway.Exchange
	call := func(now time.Time, client netip.Addr) bool {
		x.Reset()
		x.Time, x.Method, x.Host, x.Path, x.Peer, x.Headers = now, "GET", "localhost", "/open/", netip.AddrPortFrom(client, 1), fields(nil)
		a := g.Admit(&x)
		g.Finish(&x, gateway.Outcome{Status: 200, Forwarded: a == nil, Time: now})
		return a == nil
	}
	busy := netip.MustParseAddr("192.0.2.1")
	passed := map[int64]int{} // of busy, by minute
	strangers := 0
	for i := range calls {
		now := start.Add(time.Duration(i) * 3 * time.Millisecond) // five minutes in all
		if i%10 == 0 && call(now, busy) {
			passed[now.Unix()/60]++
		}
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], 0x0a000000+uint32(i))
		if call(now, netip.AddrFrom4(b)) {
			strangers++
		}
	}
	if len(passed) != 5 {
		t.Errorf("calls passed in %d minutes, want 5", len(passed))
	}
	for minute, n := range passed {
		if n != limit {
			t.Errorf("minute %d: %d calls of one address passed, want %d", minute, n, limit)
		}
	}
	// What is forgotten is remembered roughly, so a stranger may be taken for
	// somebody who has called before, but not most of them.
	if strangers < calls*9/10 {
		t.Errorf("%d of %d strangers passed", strangers, calls)
	}
	if n := counters.Len(); n > maxKeys+maxKeys/8 {
		t.Errorf("%d counters are held, at most %d should be", n, maxKeys)
	}
}
