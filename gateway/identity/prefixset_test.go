package identity

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

func TestRangeOf(t *testing.T) {
	for _, test := range []struct{ prefix, from, to string }{
		{"10.0.0.0/8", "10.0.0.0", "10.255.255.255"},
		{"10.1.2.3/8", "10.0.0.0", "10.255.255.255"},
		{"10.1.2.3/32", "10.1.2.3", "10.1.2.3"},
		{"10.1.2.3/31", "10.1.2.2", "10.1.2.3"},
		{"0.0.0.0/0", "0.0.0.0", "255.255.255.255"},
		{"192.168.17.0/20", "192.168.16.0", "192.168.31.255"},
		{"2001:db8::/32", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"2001:db8::1/128", "2001:db8::1", "2001:db8::1"},
		{"2001:db8::/33", "2001:db8::", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"},
		{"2001:db8:0:1:2::/64", "2001:db8:0:1::", "2001:db8:0:1:ffff:ffff:ffff:ffff"},
		{"2001:db8:0:1:2::/65", "2001:db8:0:1::", "2001:db8:0:1:7fff:ffff:ffff:ffff"},
		{"2001:db8:0:1:2::/63", "2001:db8::", "2001:db8:0:1:ffff:ffff:ffff:ffff"},
		{"::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	} {
		got := rangeOf(netip.MustParsePrefix(test.prefix))
		want := addrRange{numberOf(netip.MustParseAddr(test.from)), numberOf(netip.MustParseAddr(test.to))}
		if got != want {
			t.Errorf("%s = %x, want %x", test.prefix, got, want)
		}
	}
}

func TestPrefixSet(t *testing.T) {
	var list []netip.Prefix
	for _, text := range []string{
		"10.0.0.0/8", "10.1.0.0/16", "10.255.255.255/32", "11.0.0.0/32", "192.168.1.128/25", "0.0.0.0/32",
		"255.255.255.255/32", "::1/128", "2001:db8::/48", "2001:db8:0:1::/64", "fe80::/10",
	} {
		list = append(list, netip.MustParsePrefix(text))
	}
	set := newPrefixSet(list)
	for text, want := range map[string]bool{
		"0.0.0.0": true, "0.0.0.1": false, "9.255.255.255": false, "10.0.0.0": true, "10.1.2.3": true,
		"10.255.255.255": true, "11.0.0.0": true, "11.0.0.1": false, "192.168.1.127": false, "192.168.1.128": true,
		"192.168.1.255": true, "192.168.2.0": false, "255.255.255.254": false, "255.255.255.255": true,
		"::": false, "::1": true, "::2": false, "2001:db7:ffff::": false, "2001:db8::": true, "2001:db8:0:ffff::1": true,
		"2001:db8:1::": false, "fe80::1": true, "febf:ffff::": true, "fec0::": false, "::ffff:10.0.0.1": true, "::10.0.0.1": false,
	} {
		if got := set.contains(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s is in the set: %v", text, got)
		}
	}
	if (prefixSet{}).contains(netip.MustParseAddr("::1")) {
		t.Error("something is in the empty set")
	}
}

// The set says what going over all prefixes says, for random ones that lie
// close together.
func TestPrefixSetAgainstScan(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	address := func() netip.Addr {
		if random.IntN(2) == 0 {
			return netip.AddrFrom4([4]byte{10, 0, byte(random.IntN(4)), byte(random.IntN(256))})
		}
		return netip.AddrFrom16([16]byte{0x20, 1, 14: byte(random.IntN(4)), 15: byte(random.IntN(256))})
	}
	for range 300 {
		list := make([]netip.Prefix, random.IntN(8))
		for i := range list {
			addr := address()
			list[i] = netip.PrefixFrom(addr, addr.BitLen()-random.IntN(11))
		}
		set := newPrefixSet(list)
		for range 200 {
			addr, want := address(), false
			for _, p := range list {
				want = want || p.Contains(addr)
			}
			if got := set.contains(addr); got != want {
				t.Fatalf("%v in %v: %v, want %v", addr, list, got, want)
			}
		}
	}
}
