package listen

import (
	"net/netip"
	"sync"
)

// A census counts connections, in all and by where they come from.
type census struct {
	max, perIP int
	exempt     []netip.Prefix

	mu     sync.Mutex
	all    int
	byHome map[netip.Addr]int
}

// set takes up the bounds.
func (c *census) set(o Options) {
	c.max, c.perIP, c.exempt = o.MaxConns, o.MaxConnsPerIP, o.Exempt
	c.byHome = map[netip.Addr]int{}
}

// enter counts a connection from ip, and reports whether there was room for it.
func (c *census) enter(ip netip.Addr) bool {
	home, bound := c.home(ip)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.max >= 0 && c.all >= c.max || bound && c.byHome[home] >= c.perIP {
		return false
	}
	c.all++
	if bound {
		c.byHome[home]++
	}
	return true
}

// leave takes back what enter counted.
func (c *census) leave(ip netip.Addr) {
	home, bound := c.home(ip)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if !bound {
		return
	}
	if c.byHome[home]--; c.byHome[home] == 0 {
		delete(c.byHome, home)
	}
}

// total returns how many connections there are.
func (c *census) total() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all
}

// home returns whose bound ip counts against: its own, for IPv6 that of its /64
// network, in which one host has as many addresses as it likes.
func (c *census) home(ip netip.Addr) (home netip.Addr, bound bool) {
	if c.perIP < 0 || !ip.IsValid() {
		return ip, false
	}
	for _, p := range c.exempt {
		if p.Contains(ip) {
			return ip, false
		}
	}
	if ip.Is6() {
		p, _ := ip.Prefix(64)
		return p.Addr(), true
	}
	return ip, true
}
