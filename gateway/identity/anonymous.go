package identity

import (
	"net/netip"
	"unsafe"

	"github.com/weir-project/weir"
)

// AnonymousUser is the user of calls without credentials.
const AnonymousUser = "anonymous"

// Anonymous returns the principal of a call without credentials: the client's
// address stands for the application. The text of the address is appended to
// buf, and the principal is valid until the bytes of buf are used again; with
// 48 bytes to spare in buf it allocates nothing.
func Anonymous(buf []byte, client netip.Addr) (Principal, []byte) {
	n := len(buf)
	buf = AppendClient(buf, client)
	id := unsafe.String(&buf[n], len(buf)-n)
	return Principal{
		Application: weir.Application{ID: id},
		User:        AnonymousUser,
		KeyType:     weir.Production,
		anonymous:   true,
	}, buf
}

// AppendClient appends the text under which a client's address is counted. An
// IPv4 address counts for itself. An IPv6 address counts as its /64, since one
// customer has at least that many: 2001:db8:1:2::/64. An IPv4 address inside an
// IPv6 one, mapped or behind the well-known prefix of a translator, counts as
// the IPv4 address, and a 6to4 address as its /48, which one IPv4 address owns.
func AppendClient(dst []byte, client netip.Addr) []byte {
	client = client.Unmap().WithZone("")
	if !client.IsValid() {
		return append(dst, "unknown"...)
	}
	if client.Is4() {
		return client.AppendTo(dst)
	}
	b := client.As16()
	if translated.Contains(client) {
		return netip.AddrFrom4([4]byte(b[12:])).AppendTo(dst)
	}
	bits := 64
	if sixToFour.Contains(client) {
		bits = 48
	}
	clear(b[bits/8:])
	return netip.PrefixFrom(netip.AddrFrom16(b), bits).AppendTo(dst)
}

var (
	translated = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour  = netip.MustParsePrefix("2002::/16")
)
