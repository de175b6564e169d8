package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// write writes tables in Markdown, and what speaks against the figures.
func (r *report) write(w io.Writer) {
	fmt.Fprintf(w, "%s, Redis %s, interval %s, a round trip to Redis takes %s.\n", r.Go, r.Redis, shorter(r.Interval), micros(r.RTT))
	if r.Quick {
		fmt.Fprintln(w, "Quick: this is no measurement.")
	}
	fmt.Fprintln(w)
	for _, m := range systems {
		if slices.Contains(r.names(), m.name) {
			fmt.Fprintf(w, "- %s: %s\n", m.name, m.means)
		}
	}
	r.writeAccuracy(w)
	r.writeWaits(w)
	r.writeCost(w)
	r.writeBars(w)
	r.writeDoubts(w)
}

// names returns the systems that were measured, in their order.
func (r *report) names() []string {
	var all []string
	for _, m := range systems {
		if slices.ContainsFunc(r.Results, func(one result) bool { return one.System == m.name }) {
			all = append(all, m.name)
		}
	}
	return all
}

// A place is one cell of one pack, over all systems.
type place struct {
	nodes int
	cell  cell
}

func (p place) String() string {
	return fmt.Sprintf("| %d | %d/%s | %.4g × | %s |", p.nodes, p.cell.Count, shorter(p.cell.Window), p.cell.Load, p.cell.Spread)
}

// table returns all places in their order, and their rows by system.
func (r *report) table() (places []place, rows map[place]map[string]*row) {
	rows = map[place]map[string]*row{}
	for i := range r.Results {
		one := &r.Results[i]
		for k := range one.Rows {
			p := place{one.Nodes, one.Rows[k].cell}
			if rows[p] == nil {
				rows[p] = map[string]*row{}
				places = append(places, p)
			}
			rows[p][one.System] = &one.Rows[k]
		}
	}
	slices.SortStableFunc(places, func(a, b place) int {
		if a.nodes != b.nodes {
			return a.nodes - b.nodes
		}
		return int(a.cell.Count - b.cell.Count)
	})
	return places, rows
}

// writeTable writes a table of one figure for each place and system. A system of which it would have
// nothing to say is left out.
func (r *report) writeTable(w io.Writer, names []string, figure func(*row) string) {
	if len(names) == 0 {
		return
	}
	fmt.Fprintf(w, "| nodes | limit | load | over nodes | %s |\n|---|---|---|---|%s\n", strings.Join(names, " | "), strings.Repeat("---|", len(names)))
	places, rows := r.table()
	for _, p := range places {
		fmt.Fprint(w, p)
		for _, name := range names {
			text := ""
			if row := rows[p][name]; row != nil {
				text = figure(row)
			}
			fmt.Fprintf(w, " %s |", text)
		}
		fmt.Fprintln(w)
	}
}

func (r *report) writeAccuracy(w io.Writer) {
	fmt.Fprint(w, "\n## Over the limit in the worst window, and left unused in the mean of all, in percent of the limit\n\n")
	r.writeTable(w, r.names(), func(a *row) string { return percent(a.OverWorst) + ", " + percent(a.Unused) })
}

func (r *report) writeWaits(w io.Writer) {
	fmt.Fprint(w, "\n## Requests that waited, in percent, and for how long: half of them, 99 of 100, all\n\n")
	var names []string
	for _, name := range r.names() {
		if slices.ContainsFunc(r.Results, func(one result) bool {
			return one.System == name && slices.ContainsFunc(one.Rows, func(a row) bool { return a.Waited > 0 })
		}) {
			names = append(names, name)
		}
	}
	r.writeTable(w, names, func(a *row) string {
		if a.Waited == 0 {
			return "0"
		}
		part := percent(100 * float64(a.Waited) / float64(max(a.Requests, 1)))
		return fmt.Sprintf("%s: %s, %s, %s", part, millis(a.P50), millis(a.P99), millis(a.Max))
	})
}

func (r *report) writeCost(w io.Writer) {
	fmt.Fprint(w, "\n## Cost of a request\n\n")
	fmt.Fprintln(w, "| measured together | system | requests/s | late | calls | assertions | Redis CPU µs | in its commands | service CPU µs | CPU µs here |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|---|")
	for i := range r.Results {
		one := &r.Results[i]
		fmt.Fprintf(w, "| %s | %s | %.0f | %s %% | %.4f | %.4f | %.2f | %.2f | %.1f | %.2f |\n", &one.pack, one.System,
			float64(one.Requests)/one.Seconds, percent(100*float64(one.Late)/float64(max(one.Requests, 1))), one.Calls, one.Assertions, one.Redis, one.Commands, one.Service, one.Here)
	}
	fmt.Fprintf(w, "\nLate is what came more than %s after it should have. In \"here\" is what sends the requests, the same for all.\n", tooLate)
}

// A bar is something that must hold.
type bar struct {
	name    string
	checked int
	worst   float64 // in percent of the limit
	broken  []string
	allowed string
}

// hold notes what was measured at a place where at most most is allowed.
func (b *bar) hold(p place, name string, got, most float64) {
	b.checked++
	b.worst = max(b.worst, got)
	if got > most {
		b.broken = append(b.broken, fmt.Sprintf("%s %s: %s, allowed %s", name, strings.Trim(p.String(), "| "), percent(got), percent(most)))
	}
}

// bars returns how the bars were met.
func (r *report) bars() []bar {
	exact := bar{name: "exact is never over", allowed: "0"}
	unused := bar{name: "exact leaves unused at 1000 a minute and more, where all nodes have demand", allowed: "0.05"}
	bounded := bar{name: "bounded is over by at most what comes in two intervals and round trips", allowed: "what came"}
	places, rows := r.table()
	for _, p := range places {
		for name, a := range rows[p] {
			switch {
			case strings.HasPrefix(name, "exact"):
				exact.hold(p, name, a.OverWorst, 0)
				if float64(a.Count)/a.Window.Minutes() >= 1000 && (p.nodes == 1 || a.Spread != "one") {
					unused.hold(p, name, a.Unused, 0.05)
				}
			case strings.HasPrefix(name, "bounded"):
				bounded.hold(p, name, a.OverWorst, 100*float64(a.Burst)/float64(a.Count))
			}
		}
	}
	return []bar{exact, unused, bounded}
}

func (r *report) writeBars(w io.Writer) {
	fmt.Fprint(w, "\n## Bars\n\n| bar | allowed, % of the limit | worst measured | held |\n|---|---|---|---|\n")
	var broken []string
	for _, b := range r.bars() {
		if b.checked > 0 {
			fmt.Fprintf(w, "| %s | %s | %s | %d of %d |\n", b.name, b.allowed, percent(b.worst), b.checked-len(b.broken), b.checked)
		}
		broken = append(broken, b.broken...)
	}
	if len(broken) > 0 {
		fmt.Fprintln(w)
	}
	for _, text := range broken {
		fmt.Fprintf(w, "- not held: %s\n", text)
	}
}

// writeDoubts writes what speaks against the figures.
func (r *report) writeDoubts(w io.Writer) {
	late := 0
	for i := range r.Results {
		one := &r.Results[i]
		if one.Late > one.Requests/100 {
			late++
		}
		if one.Errors > 0 {
			fmt.Fprintf(w, "\n%s, %s: %d requests failed: %s\n", one.System, &one.pack, one.Errors, one.Fault)
		}
	}
	if late > 0 {
		fmt.Fprintf(w, "\nIn %d of %d measurements more than 1 %% of the requests came late: the machine was too busy to measure well, or the system could not keep up.\n",
			late, len(r.Results))
	}
	for _, text := range r.Outages {
		fmt.Fprintf(w, "\n%s\n", text)
	}
}

// percent writes a percentage with as many digits as tell something.
func percent(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 0.01:
		return "<0.01"
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.1f", v)
}

func millis(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000) }

func micros(d time.Duration) string { return fmt.Sprintf("%d µs", d.Microseconds()) }
