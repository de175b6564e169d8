package identity

import (
	"net/netip"
	"testing"

	"github.com/weir-project/weir"
)

func TestAppendClient(t *testing.T) {
	for _, test := range []struct{ addr, want string }{
		{"10.1.2.3", "10.1.2.3"},
		{"::ffff:10.1.2.3", "10.1.2.3"},
		{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
		{"2001:db8:1:2::", "2001:db8:1:2::/64"},
		{"2001:db8:1:3::1", "2001:db8:1:3::/64"},
		{"::1", "::/64"},
		{"fe80::1%eth0", "fe80::/64"},
		{"64:ff9b::10.1.2.3", "10.1.2.3"},
		{"64:ff9b:1::10.1.2.3", "64:ff9b:1::/64"},
		{"2002:a01:203:7::1", "2002:a01:203::/48"},
		{"2002:a01:203:8::1", "2002:a01:203::/48"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff::/64"},
	} {
		if got := string(AppendClient([]byte("x"), netip.MustParseAddr(test.addr))); got != "x"+test.want {
			t.Errorf("%s counts as %q, want %q", test.addr, got, test.want)
		}
	}
	if got := string(AppendClient(nil, netip.Addr{})); got != "unknown" {
		t.Errorf("no address counts as %q", got)
	}
}

func TestAnonymous(t *testing.T) {
	buf := make([]byte, 0, 64)
	p, buf := Anonymous(buf, netip.MustParseAddr("2001:db8::1"))
	if p.Application.ID != "2001:db8::/64" || p.User != "anonymous" || p.KeyType != weir.Production || p.Token != "" {
		t.Errorf("got %+v", p)
	}
	if string(buf) != p.Application.ID {
		t.Errorf("buffer holds %q", buf)
	}
	if tier, ok := p.Subscription("any", "1"); tier != weir.Unauthenticated || !ok {
		t.Errorf("subscription = %q, %v", tier, ok)
	}
	second, buf := Anonymous(buf, netip.MustParseAddr("10.1.2.3"))
	if second.Application.ID != "10.1.2.3" || p.Application.ID != "2001:db8::/64" || len(buf) != 21 {
		t.Errorf("behind another: %q, then %q", p.Application.ID, second.Application.ID)
	}
	addr := netip.MustParseAddr("2001:db8:1:2:3:4:5:6")
	if n := testing.AllocsPerRun(100, func() { p, buf = Anonymous(buf[:0], addr) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	var zero Principal
	if _, ok := zero.Subscription("any", "1"); ok {
		t.Error("nobody may call something")
	}
}
