package policy

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/weir-project/weir"
)

func TestDeny(t *testing.T) {
	prefix := func(s string) IPCondition { return IPCondition{Prefix: netip.MustParsePrefix(s)} }
	for _, tt := range []struct {
		name   string
		deny   Deny
		change func(*weir.Request)
		want   bool
	}{
		{"api", Deny{Kind: DenyAPI, Value: "/pizza/1"}, nil, true},
		{"api with more", Deny{Kind: DenyAPI, Value: "/pizza"}, nil, false},
		{"api at the root", Deny{Kind: DenyAPI, Value: "/"}, func(r *weir.Request) { r.Context = "/" }, true},
		{"application", Deny{Kind: DenyApplication, Value: "bob:Shop"}, nil, true},
		{"application of another", Deny{Kind: DenyApplication, Value: "eve:Shop"}, nil, false},
		{"another application", Deny{Kind: DenyApplication, Value: "bob:Store"}, nil, false},
		{
			"application with colons",
			Deny{Kind: DenyApplication, Value: "urn:x:bob:The:Shop"},
			func(r *weir.Request) { r.Application.Owner, r.Application.Name = "urn:x:bob", "The:Shop" }, true,
		},
		{"user", Deny{Kind: DenyUser, Value: "alice"}, nil, true},
		{"user in another case", Deny{Kind: DenyUser, Value: "Alice"}, nil, false},
		{"anonymous", Deny{Kind: DenyUser, Value: "anonymous"}, func(r *weir.Request) { *r = *anonymousRequest("10.0.0.1") }, true},
		{"address", Deny{Kind: DenyIP, IP: prefix("10.1.2.3/32")}, nil, true},
		{"other address", Deny{Kind: DenyIP, IP: prefix("10.1.2.4/32")}, nil, false},
		{"network", Deny{Kind: DenyIP, IP: prefix("10.1.2.3/8")}, nil, true},
		{"mapped address", Deny{Kind: DenyIP, IP: prefix("::ffff:10.1.2.3/128")}, nil, true},
		{"mapped client", Deny{Kind: DenyIP, IP: prefix("10.1.2.3/32")}, func(r *weir.Request) { r.ClientIP = addr("::ffff:10.1.2.3") }, true},
		{"exact, not the network", Deny{Kind: DenyIP, IP: prefix("2001:db8::1/128")}, func(r *weir.Request) { r.ClientIP = addr("2001:db8::2") }, false},
		{"zone", Deny{Kind: DenyIP, IP: prefix("fe80::1/128")}, func(r *weir.Request) { r.ClientIP = addr("fe80::1%eth0") }, true},
		{"unknown address", Deny{Kind: DenyIP, IP: prefix("0.0.0.0/0")}, func(r *weir.Request) { r.ClientIP = netip.Addr{} }, false},
		{"range, first", Deny{Kind: DenyIPRange, IP: IPCondition{From: addr("10.1.2.3"), To: addr("10.1.2.9")}}, nil, true},
		{"range, last", Deny{Kind: DenyIPRange, IP: IPCondition{From: addr("10.1.2.1"), To: addr("10.1.2.3")}}, nil, true},
		{"range, before", Deny{Kind: DenyIPRange, IP: IPCondition{From: addr("10.1.2.4"), To: addr("10.1.2.9")}}, nil, false},
		{"range, after", Deny{Kind: DenyIPRange, IP: IPCondition{From: addr("10.1.1.1"), To: addr("10.1.2.2")}}, nil, false},
		{"range of all", Deny{Kind: DenyIPRange, IP: IPCondition{From: addr("0.0.0.0"), To: addr("255.255.255.255")}}, nil, true},
		{"all but it", Deny{Kind: DenyIP, IP: prefix("10.1.2.3/32"), Invert: true}, nil, false},
		{"all but another", Deny{Kind: DenyIP, IP: prefix("10.1.2.4/32"), Invert: true}, nil, true},
		{"all but a range with it", Deny{Kind: DenyIPRange, IP: IPCondition{From: addr("10.1.2.3"), To: addr("10.1.2.9")}, Invert: true}, nil, false},
		{"all but a network, unknown", Deny{Kind: DenyIP, IP: prefix("0.0.0.0/0"), Invert: true}, func(r *weir.Request) { r.ClientIP = netip.Addr{} }, true},
	} {
		tt.deny.ID = "d"
		req := request()
		if tt.change != nil {
			tt.change(req)
		}
		d := Definition{Policies: Defaults(), Denies: []Deny{tt.deny}}
		var m Match
		compile(t, d).Match(&m, req)
		if got := m.Denied != nil; got != tt.want {
			t.Errorf("%s: denied %v, want %v", tt.name, got, tt.want)
		}
		if got := len(m.Checks) == 0; got != tt.want {
			t.Errorf("%s: %d checks", tt.name, len(m.Checks))
		}
		d.Denies[0].Off = true
		if compile(t, d).Match(&m, req); m.Denied != nil {
			t.Errorf("%s: denied by a policy that is off", tt.name)
		}
	}
}

// The order is API, application, user, address.
func TestDenyOrder(t *testing.T) {
	all := []Deny{
		{ID: "ip", Kind: DenyIP, IP: IPCondition{Prefix: netip.MustParsePrefix("10.0.0.0/8")}},
		{ID: "user", Kind: DenyUser, Value: "alice"},
		{ID: "application", Kind: DenyApplication, Value: "bob:Shop"},
		{ID: "api", Kind: DenyAPI, Value: "/pizza/1"},
	}
	for n := len(all); n > 0; n-- {
		var m Match
		compile(t, denies(all[:n]...)).Match(&m, request())
		if m.Denied == nil || m.Denied.ID != all[n-1].ID {
			t.Errorf("of %d denied by %+v, want %s", n, m.Denied, all[n-1].ID)
		}
	}
}

func TestLargestPrefixesMakeTheRange(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		prefixes int
	}{
		{"10.0.0.0", "10.0.0.255", 1},
		{"10.0.0.1", "10.0.0.254", 14},
		{"10.0.0.1", "10.0.0.1", 1},
		{"0.0.0.0", "255.255.255.255", 1},
		{"0.0.0.1", "255.255.255.254", 62},
		{"::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 1},
		{"::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", 254},
	} {
		next, to, n := addr(tt.from), addr(tt.to), 0
		for {
			p := largestPrefix(next, to)
			if p.Addr() != next || to.Less(lastAddress(p)) {
				t.Fatalf("%s to %s: prefix %s", tt.from, tt.to, p)
			}
			n++
			if lastAddress(p) == to {
				break
			}
			next = lastAddress(p).Next()
		}
		if n != tt.prefixes {
			t.Errorf("%s to %s: %d prefixes, want %d", tt.from, tt.to, n, tt.prefixes)
		}
	}
}

func BenchmarkDenies(b *testing.B) {
	var d Definition
	for i := range 100_000 {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		d.Denies = append(d.Denies, Deny{ID: fmt.Sprint(i), Kind: DenyIP, IP: IPCondition{Prefix: netip.PrefixFrom(a, 32)}})
	}
	s, req := compile(b, d), request()
	req.ClientIP = addr("10.9.9.9")
	for b.Loop() {
		s.denies.of(req)
	}
}
