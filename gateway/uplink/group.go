package uplink

import (
	"log/slog"
	"sync"
)

// A group is managers that each event goes to.
//
// Those of them that said that they share their counters through the same store
// sit together, as one: each event goes to one of them. Each other manager counts
// for itself and gets every event; so does one that has not answered yet, since
// what waits for it can be thrown away once it turns out to sit with others.
type group struct {
	number int // from 1, as people count
	typ    Type

	mu     sync.Mutex // guards what is below, and what of links it is said to guard
	links  []*link
	picks  uint64
	warned bool // that the managers do not share
}

// push gives e to all who are to get it.
func (g *group) push(e entry) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, l := range g.links {
		switch {
		case l.seat == "":
			l.push(e)
		case g.firstOf(l.seat) == i:
			g.pick(l.seat).push(e)
		}
	}
}

// firstOf returns the index of the first link of a seat. g.mu must be held.
func (g *group) firstOf(seat string) int {
	for i, l := range g.links {
		if l.seat == seat {
			return i
		}
	}
	return -1
}

// pick returns the link of a seat whose turn it is: of those that are up, or of
// all if none is. There must be one. g.mu must be held.
func (g *group) pick(seat string) *link {
	var best *link
	for _, l := range g.links {
		switch {
		case l.seat != seat:
		case best == nil, l.up && !best.up:
			best = l
		case l.up == best.up && g.typ == LoadBalance && l.picked < best.picked:
			best = l
		}
	}
	g.picks++
	best.picked = g.picks
	return best
}

// sit makes l one of a seat; "" is none. It reports whether others sat there
// before: what waited for l has then gone to them, and is thrown away here.
func (g *group) sit(l *link, seat string) (others bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if seat == l.seat {
		return false
	}
	left := l.seat
	l.seat = ""
	if left != "" && g.firstOf(left) >= 0 {
		g.give(l, g.pick(left))
	}
	if others = seat != "" && g.firstOf(seat) >= 0; others {
		l.queue.empty()
	}
	l.seat = seat
	g.settle(seat)
	return others
}

// retire lets nothing wait for l until it is answered.
func (g *group) retire(l *link) {
	g.sit(l, "")
	g.mu.Lock()
	defer g.mu.Unlock()
	l.retired = true
	l.queue.empty()
}

// settle gives what waits for managers of a seat that are down to one that is up.
// g.mu must be held.
func (g *group) settle(seat string) {
	if seat == "" {
		return
	}
	to := g.pick(seat)
	if !to.up {
		return
	}
	for _, l := range g.links {
		if l.seat == seat && !l.up && len(l.queue.waiting()) > 0 {
			g.give(l, to)
		}
	}
}

// give moves what waits for one link to another. g.mu must be held.
func (g *group) give(from, to *link) {
	to.queue.back(from.queue.empty())
	to.trim()
	to.nudge()
}

// other reports whether another manager of l's seat is up. g.mu must be held.
func (g *group) other(l *link) bool {
	for _, o := range g.links {
		if o != l && o.up && l.seat != "" && o.seat == l.seat {
			return true
		}
	}
	return false
}

// warn says once if managers that are to stand in for each other don't share
// their counters.
func (g *group) warn(log *slog.Logger) {
	if names := g.apart(); names != nil {
		log.Warn("traffic managers of a group do not share their counters; each is told every event, since limits would multiply otherwise",
			"group", g.number, "type", g.typ.String(), "traffic_managers", names)
	}
}

// apart returns the managers if it turns out that they don't share, the first time.
func (g *group) apart() (names []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.warned || len(g.links) < 2 {
		return nil
	}
	seat := ""
	for _, l := range g.links {
		names = append(names, l.url)
		if l.stats.State == Connecting {
			continue
		}
		g.warned = g.warned || l.stats.Shares == "" || seat != "" && l.stats.Shares != seat
		seat = l.stats.Shares
	}
	if !g.warned {
		return nil
	}
	return names
}
