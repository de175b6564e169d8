package cli

import (
	"fmt"
	"strconv"
)

// store says in few words whether the store of shared counters is there; nothing if nobody
// shares any.
func (v *topView) store() string {
	there, away := 0, 0
	for i := range v.Sharing {
		if n := &v.Sharing[i]; n.Error == "" {
			there++
			if !n.StoreUp {
				away++
			}
		}
	}
	if there == 0 {
		return ""
	}
	return "   store: " + storeOf(there, away)
}

// storeOf says of how many of so many nodes the store is away.
func storeOf(nodes, away int) string {
	switch away {
	case 0:
		return "up"
	case nodes:
		return "away"
	}
	return fmt.Sprintf("away from %d of %d", away, nodes)
}

// drawSharing returns the nodes that share counters, each table with as many rows as most
// says at most; 0 has no bound.
func (v *topView) drawSharing(width, most int) []string {
	columns := []column{
		{title: "SHARES COUNTERS", least: 12},
		{title: "AS", rank: 4},
		{title: "STORE", least: 5},
		{title: "NODES", right: true, rank: 5},
		{title: "ROUND TRIP", right: true, rank: 2},
		{title: "TRIPS/REQUEST", right: true, rank: 1},
		{title: "WAITED", right: true, rank: 3},
		{title: "LOST", right: true, rank: 6},
		{title: "EPOCHS", right: true, rank: 7},
		{title: "CLOCK", right: true, rank: 8},
	}
	var rows [][]string
	for i := range v.Sharing {
		n := &v.Sharing[i]
		if n.Error != "" {
			rows = append(rows, []string{printable(n.URL), "", printable(n.Error), "", "", "", "", "", "", ""})
			continue
		}
		store := "up"
		if !n.StoreUp {
			store = "away"
		}
		rows = append(rows, []string{
			printable(n.Name), printable(n.Role), store, number(n.Nodes), brief(n.RoundTrip), trips(n.Trips),
			number(n.Waited), number(n.Losses), number(n.Epochs), clockOff(n.ClockOffset),
		})
	}
	return shorten(drawGrid(width, columns, rows), most)
}

// drawLimits returns the limits that are shared.
func (v *topView) drawLimits(width, most int) []string {
	columns := []column{
		{title: "LIMIT", least: 8},
		{title: "POLICY", least: 8},
		{title: "HELD BY", rank: 5},
		{title: "ACCURACY"},
		{title: "NODES", right: true, rank: 4},
		{title: "KEYS", right: true, rank: 6},
		{title: "STALE", right: true},
		{title: "OVER", right: true},
		{title: "RIGHTS HELD", right: true, rank: 1},
		{title: "TRIPS/REQUEST", right: true, rank: 3},
		{title: "STORE", rank: 2},
	}
	var rows [][]string
	for i := range v.Limits {
		l := &v.Limits[i]
		rows = append(rows, []string{
			printable(l.Level), groupOf(l.Policy, l.Group), printable(l.Role) + "s", printable(l.Accuracy), strconv.Itoa(l.Nodes),
			number(l.Keys), l.stale(), l.over(), l.rights(), trips(l.Trips), storeOf(l.Nodes, l.Away),
		})
	}
	if len(rows) == 0 {
		return []string{"No limit that is shared has been used of late."}
	}
	lines := shorten(drawGrid(width, columns, rows), most)
	for i := range v.Sharing {
		if n := &v.Sharing[i]; n.told != nil && n.LimitsInUse > len(n.told.Limits) {
			return append(lines, fmt.Sprintf("%s has %d limits in use and tells of %d: some may be missing.",
				printable(n.Name), n.LimitsInUse, len(n.told.Limits)))
		}
	}
	return lines
}

// shorten cuts a grid of more lines than most, and says how many are left out; 0 has no bound.
func shorten(lines []string, most int) []string {
	if most <= 0 || len(lines) <= most {
		return lines
	}
	return append(lines[:most-1:most-1], fmt.Sprintf("… and %d more", len(lines)-most+1))
}

// stale says how stale what nodes know was at most; of nodes without their store nobody
// can say.
func (l *topLimit) stale() string {
	if l.Away > 0 {
		return "–"
	}
	return brief(l.Staleness)
}

// over says by how much the limit was exceeded.
func (l *topLimit) over() string {
	if l.Over == 0 {
		return "0"
	}
	return number(l.Over) + " of " + number(l.Limit)
}

// rights says how many are held; only exact limits have any.
func (l *topLimit) rights() string {
	if l.Accuracy != "exact" {
		return "–"
	}
	return number(l.Held)
}

// trips returns calls of the store for each request.
func trips(r *float64) string {
	if r == nil {
		return "–"
	}
	return strconv.FormatFloat(*r, 'f', 3, 64)
}
