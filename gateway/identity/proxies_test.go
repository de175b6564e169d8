package identity

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// fields is the named values of a request in order: "Name: value" each.
type fields []string

func (f fields) Each(name string, yield func(string) bool) {
	for _, line := range f {
		n, v, _ := strings.Cut(line, ": ")
		if strings.EqualFold(n, name) && !yield(v) {
			return
		}
	}
}

func (f fields) Value(name string) (value string, ok bool) {
	f.Each(name, func(v string) bool { value, ok = v, true; return false })
	return value, ok
}

var _ Source = fields(nil)

func newTestProxies(t testing.TB, prefixes ...string) *Proxies {
	t.Helper()
	var list []netip.Prefix
	for _, p := range prefixes {
		list = append(list, netip.MustParsePrefix(p))
	}
	p, err := NewProxies(list)
	if err != nil {
		t.Fatalf("NewProxies(%v): %v", prefixes, err)
	}
	return p
}

// xff makes lines of X-Forwarded-For.
func xff(lines ...string) fields {
	var f fields
	for _, line := range lines {
		f = append(f, "X-Forwarded-For: "+line)
	}
	return f
}

func TestClientIP(t *testing.T) {
	proxies := newTestProxies(t, "10.0.0.0/8", "2001:db8:a::/48", "::ffff:192.168.0.0/112")
	const edge, far = "10.0.0.1", "203.0.113.9"
	for _, test := range []struct {
		name, peer string
		h          fields
		want       string
	}{
		{"nobody says anything", far, nil, far},
		{"proxy says nothing", edge, nil, edge},

		{"client names itself", far, xff("1.2.3.4"), far},
		{"client names a proxy", far, xff("10.0.0.1"), far},
		{"client uses other fields", far, fields{
			"X-Real-IP: 1.2.3.4", "True-Client-IP: 1.2.3.4", "Forwarded: for=1.2.3.4", "CF-Connecting-IP: 1.2.3.4",
			"Fastly-Client-IP: 1.2.3.4", "X_Forwarded_For: 1.2.3.4", "X-Forwarded-For2: 1.2.3.4",
		}, far},
		{"other fields behind a proxy", edge, fields{"X-Real-IP: 1.2.3.4", "Forwarded: for=1.2.3.4"}, edge},

		{"one hop", edge, xff("1.2.3.4"), "1.2.3.4"},
		{"two hops", edge, xff("1.2.3.4, 10.0.0.2"), "1.2.3.4"},
		{"two hops and a lie", edge, xff("6.6.6.6, 1.2.3.4, 10.0.0.2"), "1.2.3.4"},
		{"a lie of a proxy's address", edge, xff("6.6.6.6, 10.9.9.9, 1.2.3.4"), "1.2.3.4"},
		{"only proxies", edge, xff("10.0.0.3, 10.0.0.2"), "10.0.0.3"},
		{"in capitals and not", edge, fields{"x-forwarded-for: 6.6.6.6", "X-FORWARDED-FOR: 1.2.3.4"}, "1.2.3.4"},

		{"two lines", edge, xff("6.6.6.6", "1.2.3.4"), "1.2.3.4"},
		{"two lines, the last of a proxy", edge, xff("6.6.6.6, 1.2.3.4", "10.0.0.2"), "1.2.3.4"},
		{"two lines, the last empty", edge, xff("6.6.6.6, 1.2.3.4", ""), "1.2.3.4"},
		{"three lines", edge, xff("6.6.6.6", "5.5.5.5, 1.2.3.4, 10.0.0.3", "10.0.0.2"), "1.2.3.4"},

		{"port", edge, xff("1.2.3.4:5678"), "1.2.3.4"},
		{"port of a proxy", edge, xff("1.2.3.4, 10.0.0.2:443"), "1.2.3.4"},
		{"IPv6", edge, xff("2001:db8::1"), "2001:db8::1"},
		{"IPv6 in brackets", edge, xff("[2001:db8::1]"), "2001:db8::1"},
		{"IPv6 and port", edge, xff("[2001:db8::1]:443"), "2001:db8::1"},
		{"IPv6 and zone", edge, xff("fe80::1%eth0"), "fe80::1"},
		{"IPv6, zone and port", edge, xff("[fe80::1%eth0]:443"), "fe80::1"},
		{"IPv6 proxies", "2001:db8:a::1", xff("2001:db8:b::1, [2001:db8:a:1::2]:80"), "2001:db8:b::1"},
		{"IPv4 in IPv6", edge, xff("::ffff:1.2.3.4"), "1.2.3.4"},
		{"proxy as IPv4 in IPv6", edge, xff("1.2.3.4, ::ffff:10.0.0.2"), "1.2.3.4"},
		{"peer as IPv4 in IPv6", "::ffff:10.0.0.1", xff("1.2.3.4"), "1.2.3.4"},
		{"peer that is not trusted, in IPv6", "::ffff:203.0.113.9", xff("1.2.3.4"), far},
		{"prefix in IPv6 form", "192.168.0.7", xff("1.2.3.4"), "1.2.3.4"},
		{"peer with a zone", "fe80::1%eth0", xff("1.2.3.4"), "fe80::1"},

		{"spaces and tabs", edge, xff(" \t6.6.6.6 \t,\t 1.2.3.4 \t"), "1.2.3.4"},
		{"empty elements", edge, xff(",6.6.6.6,,1.2.3.4,, ,"), "1.2.3.4"},
		{"nothing but commas", edge, xff(",,,", ", ,"), edge},

		{"garbage", edge, xff("1.2.3.4, garbage"), edge},
		{"garbage behind a proxy", edge, xff("1.2.3.4, garbage, 10.0.0.2"), "10.0.0.2"},
		{"garbage left of the client", edge, xff("garbage, 1.2.3.4"), "1.2.3.4"},
		{"unknown", edge, xff("1.2.3.4, unknown"), edge},
		{"hidden name", edge, xff("1.2.3.4, _hidden"), edge},
		{"host name", edge, xff("1.2.3.4, localhost"), edge},
		{"as in Forwarded", edge, xff("1.2.3.4, for=1.1.1.1"), edge},
		{"quoted", edge, xff(`1.2.3.4, "1.1.1.1"`), edge},
		{"port too large", edge, xff("1.2.3.4, 1.1.1.1:65536"), edge},
		{"port without digits", edge, xff("1.2.3.4, 1.1.1.1:"), edge},
		{"port with letters", edge, xff("1.2.3.4, 1.1.1.1:8o"), edge},
		{"brackets open", edge, xff("1.2.3.4, [::1"), edge},
		{"brackets and more", edge, xff("1.2.3.4, [::1]x"), edge},
		{"brackets and no port", edge, xff("1.2.3.4, [::1]:"), edge},
		{"brackets around IPv4", edge, xff("1.2.3.4, [1.1.1.1]"), edge},
		{"brackets around nothing", edge, xff("1.2.3.4, []"), edge},
		{"zone of IPv4", edge, xff("1.2.3.4, 1.1.1.1%eth0"), edge},
		{"a zone alone", edge, xff("1.2.3.4, %eth0"), edge},
		{"leading zeros", edge, xff("1.2.3.4, 01.01.01.01"), edge},
		{"one number", edge, xff("1.2.3.4, 16843009"), edge},
		{"prefix", edge, xff("1.2.3.4, 1.1.1.0/24"), edge},
		{"NUL", edge, xff("1.2.3.4, 1.1.1.1\x00"), edge},
		{"line end", edge, xff("1.2.3.4, 1.1.1.1\r\nX"), edge},
		{"not ASCII", edge, xff("1.2.3.4, １.1.1.1"), edge},
		{"long", edge, xff("1.2.3.4, " + strings.Repeat("1", 1<<16)), edge},
		{"semicolons", edge, xff("1.2.3.4; 1.1.1.1"), edge},

		{"1000 elements", edge, xff(strings.Repeat("6.6.6.6, ", 1000) + "1.2.3.4"), "1.2.3.4"},
		{"1000 proxies", edge, xff("1.2.3.4" + strings.Repeat(", 10.0.0.2", 1000)), "10.0.0.2"},
		{"98 proxies", edge, xff("1.2.3.4" + strings.Repeat(", 10.0.0.2", 98)), "1.2.3.4"},
		{"100 proxies", edge, xff("1.2.3.4" + strings.Repeat(", 10.0.0.2", 100)), "10.0.0.2"},
		{"1000 commas", edge, xff("1.2.3.4" + strings.Repeat(",", 1000)), edge},
		{"1000 lines", edge, xff(strings.Split(strings.Repeat("6.6.6.6\n", 1000)+"1.2.3.4", "\n")...), "1.2.3.4"},
		{"1000 empty lines", edge, xff(strings.Split("1.2.3.4"+strings.Repeat("\n", 1000), "\n")...), edge},
		{"98 lines of proxies", edge, xff(strings.Split("1.2.3.4"+strings.Repeat("\n10.0.0.2", 98), "\n")...), "1.2.3.4"},
	} {
		if got := proxies.ClientIP(netip.MustParseAddr(test.peer), test.h); got != netip.MustParseAddr(test.want) {
			t.Errorf("%s: from %s with %.60q: %v, want %s", test.name, test.peer, test.h, got, test.want)
		}
	}
}

func TestClientIPTrustsNobody(t *testing.T) {
	peer := netip.MustParseAddr("10.0.0.1")
	for name, p := range map[string]*Proxies{"nil": nil, "zero": {}, "empty": newTestProxies(t)} {
		if got := p.ClientIP(peer, xff("1.2.3.4")); got != peer {
			t.Errorf("%s: %v, want %v", name, got, peer)
		}
	}
	p := newTestProxies(t, "10.0.0.0/8")
	if got := p.ClientIP(peer, nil); got != peer {
		t.Errorf("without fields: %v", got)
	}
	if got := p.ClientIP(netip.Addr{}, xff("1.2.3.4")); got.IsValid() {
		t.Errorf("without a peer: %v", got)
	}
}

func TestNewProxiesFaults(t *testing.T) {
	for _, test := range []struct {
		prefix netip.Prefix
		want   string
	}{
		{netip.Prefix{}, "without an address"},
		{netip.MustParsePrefix("0.0.0.0/0"), "every address"},
		{netip.MustParsePrefix("::/0"), "every address"},
		{netip.MustParsePrefix("::ffff:0.0.0.0/96"), "every address"},
	} {
		if _, err := NewProxies([]netip.Prefix{test.prefix}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v, want %q", test.prefix, err, test.want)
		}
	}
	if !newTestProxies(t, "10.1.2.3/8").Trusts(netip.MustParseAddr("10.9.9.9")) {
		t.Error("a prefix with bits behind its length does not hold all its addresses")
	}
}

func TestClientIPKeepsNothing(t *testing.T) {
	p := newTestProxies(t, "10.0.0.0/8")
	peer := netip.MustParseAddr("10.0.0.1")
	for i := range 300 {
		lines := strings.Split(strings.Repeat("6.6.6.6\n", i%120), "\n")
		p.ClientIP(peer, xff(lines...))
		if got := p.ClientIP(peer, nil); got != peer {
			t.Fatalf("after %d lines, none: %v", len(lines), got)
		}
	}
}

func TestClientIPAllocates(t *testing.T) {
	p := newTestProxies(t, "10.0.0.0/8", "2001:db8::/32")
	for name, h := range map[string]fields{
		"one":   xff("1.2.3.4"),
		"lines": xff("6.6.6.6, 1.2.3.4:80", "10.0.0.2, [2001:db8::1%x]:443", "10.0.0.3"),
		"many":  xff(strings.Repeat("6.6.6.6, ", 1000) + "1.2.3.4"),
	} {
		var source Source = h
		for _, peer := range []string{"10.0.0.1", "9.9.9.9"} {
			addr := netip.MustParseAddr(peer)
			if n := testing.AllocsPerRun(100, func() { p.ClientIP(addr, source) }); n != 0 {
				t.Errorf("%s from %s: %v allocations", name, peer, n)
			}
		}
	}
}

// FuzzClientIP checks that whatever stands in the field, the answer is the peer
// or an address in it, and that what a client puts before what a proxy appended
// changes nothing.
func FuzzClientIP(f *testing.F) {
	for _, line := range []string{
		"1.2.3.4", "1.2.3.4, 10.0.0.2", "[::1]:80", "fe80::1%eth0, unknown", ",,", "::ffff:10.0.0.1", "1.2.3.4:x",
		"[", "]", "[]", ":", "%", "[%]:1", " \t", "10.0.0.1\n1.2.3.4",
	} {
		f.Add(line)
	}
	p := newTestProxies(f, "10.0.0.0/8")
	peer := netip.MustParseAddr("10.0.0.1")
	f.Fuzz(func(t *testing.T, text string) {
		lines := strings.Split(text, "\n")
		got := p.ClientIP(peer, xff(lines...))
		if !got.IsValid() || got.Zone() != "" || got.Is4In6() {
			t.Fatalf("%q: %v", text, got)
		}
		if p.ClientIP(netip.MustParseAddr("9.9.9.9"), xff(lines...)) != netip.MustParseAddr("9.9.9.9") {
			t.Fatalf("%q is believed of a peer that is not trusted", text)
		}
		for _, behind := range [][]string{append(lines, "1.2.3.4"), {text + ", 1.2.3.4"}} {
			if got := p.ClientIP(peer, xff(behind...)); got != netip.MustParseAddr("1.2.3.4") {
				t.Fatalf("%q before what the proxy appended: %v", text, got)
			}
		}
	})
}

func BenchmarkClientIP(b *testing.B) {
	p := newTestProxies(b, "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
	var h Source = xff("6.6.6.6, 1.2.3.4, 10.0.0.2")
	for _, peer := range []string{"203.0.113.9", "10.0.0.1"} {
		b.Run(fmt.Sprint(peer), func(b *testing.B) {
			addr := netip.MustParseAddr(peer)
			b.ReportAllocs()
			for b.Loop() {
				p.ClientIP(addr, h)
			}
		})
	}
}
