package identity

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"

	"github.com/weir-project/weir"
)

// A Source is the named values of one part of a request, its headers or its
// query, of which there may be several under one name.
type Source interface {
	weir.Values
	// Each calls f with every value under name, in order, until f returns false.
	Each(name string, f func(value string) bool)
}

// maxHops is how many elements of X-Forwarded-For are looked at, from the right.
const maxHops = 100

// maxElement is the length of the longest element that can be an address.
const maxElement = 80

// Proxies are the addresses of proxies whose X-Forwarded-For is believed. The
// zero value and nil believe nobody. It is safe for concurrent use.
type Proxies struct {
	trusted prefixSet
	walks   sync.Pool // of *walk
}

// NewProxies returns the proxies with an address in one of the prefixes. A
// prefix that holds every address is refused: with it, each client could name
// itself.
func NewProxies(prefixes []netip.Prefix) (*Proxies, error) {
	all := make([]netip.Prefix, 0, len(prefixes))
	for _, prefix := range prefixes {
		if !prefix.IsValid() {
			return nil, errors.New("trusted proxy without an address")
		}
		if addr := prefix.Addr(); addr.Is4In6() && prefix.Bits() >= 96 {
			prefix = netip.PrefixFrom(addr.Unmap(), prefix.Bits()-96)
		}
		if prefix.Bits() == 0 {
			return nil, fmt.Errorf("trusted proxy %s is every address: clients could name themselves", prefix)
		}
		all = append(all, prefix)
	}
	p := &Proxies{trusted: newPrefixSet(all)}
	p.walks.New = func() any { return newWalk() }
	return p, nil
}

// Trusts reports whether addr is that of a trusted proxy.
func (p *Proxies) Trusts(addr netip.Addr) bool {
	return p != nil && addr.IsValid() && p.trusted.contains(addr)
}

// ClientIP returns the address of the client of a connection from peer: peer
// itself unless it is a trusted proxy, otherwise the right-most address in
// X-Forwarded-For that no trusted proxy has. What stands left of that is the
// client's own word and is not looked at.
//
// All lines of the field count as one list, the last line's end being its right
// end. Elements may have a port, brackets or a zone, which are dropped; empty
// ones are passed over. At an element that is no address the search stops, and
// the answer is the hop that reported it, as it is when all addresses are
// trusted or after 100 elements. IPv4 addresses in IPv6 form are made IPv4.
//
// Nothing else is believed: Forwarded (RFC 7239) and fields of single vendors
// are ignored here and stripped on the way on, see [StripHeader]. A proxy that
// is trusted must append to X-Forwarded-For, or set it.
func (p *Proxies) ClientIP(peer netip.Addr, h Source) netip.Addr {
	peer = peer.Unmap().WithZone("")
	if !p.Trusts(peer) || h == nil {
		return peer
	}
	w := p.walks.Get().(*walk)
	h.Each("X-Forwarded-For", w.take)
	client := w.client(p, peer)
	w.reset()
	p.walks.Put(w)
	return client
}

// A walk goes over the lines of X-Forwarded-For from the last to the first. Each
// line has an element at least, so more lines than elements need not be kept.
type walk struct {
	lines [maxHops]string
	n     int                     // lines seen; the last ones are kept
	take  func(value string) bool // bound once, so that a call allocates nothing
}

func newWalk() *walk {
	w := new(walk)
	w.take = func(value string) bool {
		w.lines[w.n%maxHops] = value
		w.n++
		return true
	}
	return w
}

// reset forgets the lines, which belong to a connection.
func (w *walk) reset() {
	clear(w.lines[:min(w.n, maxHops)])
	w.n = 0
}

// client returns the right-most address that is not trusted.
func (w *walk) client(p *Proxies, peer netip.Addr) netip.Addr {
	last, left := peer, maxHops
	for i := w.n - 1; i >= 0 && i >= w.n-maxHops; i-- {
		for line, more := w.lines[i%maxHops], true; more; {
			if left == 0 {
				return last
			}
			left--
			var element string
			element, line, more = cutLast(line)
			if element == "" {
				continue
			}
			addr, ok := parseHop(element)
			if !ok {
				return last
			}
			if !p.Trusts(addr) {
				return addr
			}
			last = addr
		}
	}
	return last
}

// cutLast cuts the last element off a comma-separated line.
func cutLast(line string) (element, before string, more bool) {
	i := strings.LastIndexByte(line, ',')
	if i >= 0 {
		before = line[:i]
	}
	return strings.Trim(line[i+1:], " \t"), before, i >= 0
}

// parseHop returns the address in an element of X-Forwarded-For.
func parseHop(s string) (netip.Addr, bool) {
	if len(s) > maxElement {
		return netip.Addr{}, false
	}
	if s[0] == '[' {
		end := strings.IndexByte(s, ']')
		if end < 0 || (end+1 < len(s) && (s[end+1] != ':' || !isPort(s[end+2:]))) {
			return netip.Addr{}, false
		}
		if s = s[1:end]; strings.IndexByte(s, ':') < 0 {
			return netip.Addr{}, false
		}
	} else if i := strings.IndexByte(s, ':'); i >= 0 && i == strings.LastIndexByte(s, ':') {
		if !isPort(s[i+1:]) {
			return netip.Addr{}, false
		}
		s = s[:i]
	}
	if i := strings.IndexByte(s, '%'); i >= 0 {
		if strings.IndexByte(s[:i], ':') < 0 {
			return netip.Addr{}, false
		}
		s = s[:i] // before parsing: a zone would be kept for ever
	}
	addr, err := netip.ParseAddr(s)
	return addr.Unmap(), err == nil
}

// isPort reports whether s is a port number.
func isPort(s string) bool {
	if s == "" || len(s) > 5 {
		return false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n < 1<<16
}
