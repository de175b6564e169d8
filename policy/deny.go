package policy

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/gaissmai/bart"

	"github.com/weir-project/weir"
)

// denials are the deny policies that are on, each where it is found fastest.
type denials struct {
	apis         map[string]*Deny
	applications map[owned]*Deny
	users        map[string]*Deny
	addresses    *bart.Table[*Deny] // nil: none
	// all but these addresses are denied, by each of them
	except []exception
}

// owned is the name of an application and of its owner.
type owned struct{ owner, name string }

// An exception is a range of addresses outside which a deny policy holds.
type exception struct {
	addressRange
	deny *Deny
}

// of returns the deny policy that refuses req, or nil.
func (d *denials) of(req *weir.Request) *Deny {
	if len(d.apis) > 0 {
		if deny := d.apis[req.Context]; deny != nil {
			return deny
		}
	}
	if len(d.applications) > 0 {
		if deny := d.applications[owned{req.Application.Owner, req.Application.Name}]; deny != nil {
			return deny
		}
	}
	if len(d.users) > 0 {
		if deny := d.users[req.User]; deny != nil {
			return deny
		}
	}
	if d.addresses == nil && d.except == nil {
		return nil
	}
	return d.ofAddress(plain(req.ClientIP))
}

func (d *denials) ofAddress(a netip.Addr) *Deny {
	if d.addresses != nil {
		if deny, ok := d.addresses.Lookup(a); ok {
			return deny
		}
	}
	for i := range d.except {
		if e := &d.except[i]; !e.contains(a) {
			return e.deny
		}
	}
	return nil
}

// denials compiles deny policies. Those that are off are checked like the rest.
func (c *compiler) denials(denies []Deny) denials {
	out := denials{
		apis: map[string]*Deny{}, applications: map[owned]*Deny{}, users: map[string]*Deny{},
	}
	seen := make(map[string]bool, len(denies))
	for i := range denies {
		d := denies[i]
		name := d.ID
		if name == "" {
			name = fmt.Sprintf("#%d", i)
		}
		at := c.scope(Denies, i, "deny policy "+quoted(name))
		if d.ID != "" && seen[d.ID] {
			at.say("id", "is taken by an earlier deny policy")
		}
		seen[d.ID] = true
		if d.Invert && d.Kind != DenyIP && d.Kind != DenyIPRange {
			at.say("invert", "only addresses can be inverted")
		}
		switch d.Kind {
		case DenyAPI, DenyApplication, DenyUser:
			out.addName(&d, at)
		case DenyIP, DenyIPRange:
			out.addAddresses(&d, at)
		default:
			at.say("kind", fmt.Sprintf("unknown kind %d", d.Kind))
		}
	}
	return out
}

func (d *denials) addName(deny *Deny, at scope) {
	if deny.Value == "" {
		at.say("value", "is empty")
		return
	}
	switch deny.Kind {
	case DenyAPI:
		at.add("value", checkContext(deny.Value))
	case DenyApplication:
		if i := strings.IndexByte(deny.Value, ':'); i < 1 || i == len(deny.Value)-1 {
			at.say("value", quoted(deny.Value)+" is not owner:name")
		}
	}
	if deny.Off {
		return
	}
	switch deny.Kind {
	case DenyAPI:
		keep(d.apis, deny.Value, deny)
	case DenyUser:
		keep(d.users, deny.Value, deny)
	case DenyApplication:
		// Owners and names may have colons in them: every way to read the
		// value is denied, as nobody is to escape by a colon.
		for i := range len(deny.Value) {
			if deny.Value[i] == ':' {
				keep(d.applications, owned{deny.Value[:i], deny.Value[i+1:]}, deny)
			}
		}
	}
}

// keep adds deny under k unless there is one.
func keep[K comparable](m map[K]*Deny, k K, deny *Deny) {
	if m[k] == nil {
		m[k] = deny
	}
}

func (d *denials) addAddresses(deny *Deny, at scope) {
	switch {
	case deny.Kind == DenyIP && !deny.IP.Prefix.IsValid():
		at.say("ip", "is no valid address or prefix")
		return
	case deny.Kind == DenyIPRange && deny.IP.Prefix.IsValid():
		at.say("ip", "is a prefix; a range has a first and a last address")
		return
	}
	r, err := addresses(&deny.IP)
	if err != nil {
		at.add("ip", err)
		return
	}
	switch {
	case deny.Off:
	case deny.Invert:
		d.except = append(d.except, exception{r, deny})
	default:
		if d.addresses == nil {
			d.addresses = new(bart.Table[*Deny])
		}
		for from := r.from; from.IsValid(); {
			p := largestPrefix(from, r.to)
			if _, taken := d.addresses.Get(p); !taken {
				d.addresses.Insert(p, deny)
			}
			last := lastAddress(p)
			if last == r.to {
				return
			}
			from = last.Next()
		}
	}
}

// largestPrefix returns the largest prefix that begins at from and ends at to or
// before it.
func largestPrefix(from, to netip.Addr) netip.Prefix {
	best := netip.PrefixFrom(from, from.BitLen())
	for bits := from.BitLen() - 1; bits >= 0; bits-- {
		p := netip.PrefixFrom(from, bits)
		if p.Masked() != p || to.Less(lastAddress(p)) {
			break
		}
		best = p
	}
	return best
}
