package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// write prints p for people.
func (p *loadReport) write(w io.Writer) error {
	p.writeHead(w)
	for _, write := range []func(io.Writer) error{p.writeOutcomes, p.writeLatency, p.writeTargets, p.writeWindows} {
		if err := write(w); err != nil {
			return err
		}
	}
	p.writeNotes(w)
	return nil
}

func (p *loadReport) writeHead(w io.Writer) {
	rate := "as many as it took"
	if p.Rate > 0 {
		rate = strconv.FormatFloat(p.Rate, 'f', -1, 64) + " a second"
	}
	sent := float64(p.Requests) / max(p.Seconds, 1e-9)
	fmt.Fprintf(w, "%d requests in %.1f s: %.1f a second (asked for: %s)\n\n", p.Requests, p.Seconds, sent, rate)
}

func (p *loadReport) writeOutcomes(w io.Writer) error {
	t := newTable(w, "OUTCOME", "REQUESTS", "PART", "WHY")
	row := func(name string, n int64, why string) {
		t.row(name, strconv.FormatInt(n, 10), percent(n, p.Requests), why)
	}
	row("admitted", p.Admitted, "2xx")
	for i := range p.Refusals {
		row("refused", p.Refusals[i].Count, p.Refusals[i].origin())
	}
	if p.Refused == 0 {
		row("refused", 0, "")
	}
	if p.Other > 0 {
		row("other", p.Other, p.otherStatuses())
	}
	for i := range p.Faults {
		f := &p.Faults[i]
		row("error", f.Count, f.Kind+": "+printable(f.Example))
	}
	return t.flush()
}

// otherStatuses lists the statuses that are neither 2xx nor 429.
func (p *loadReport) otherStatuses() string {
	var texts []string
	for status := 300; status < 600; status++ {
		name := strconv.Itoa(status)
		n := p.Statuses[name]
		for i := range p.Refusals {
			if p.Refusals[i].Status == status {
				n -= p.Refusals[i].Count
			}
		}
		if n > 0 {
			texts = append(texts, fmt.Sprintf("%s (%d)", name, n))
		}
	}
	return strings.Join(texts, ", ")
}

func (p *loadReport) writeLatency(w io.Writer) error {
	if p.Latency.All.Count == 0 {
		return nil
	}
	fmt.Fprintln(w)
	t := newTable(w, "LATENCY", "MEAN", "P50", "P90", "P99", "P99.9", "MAX")
	row := func(name string, l *loadLatency) {
		if l.Count > 0 {
			t.row(name, brief(l.Mean), brief(l.P50), brief(l.P90), brief(l.P99), brief(l.P999), brief(l.Max))
		}
	}
	row("all answers", &p.Latency.All)
	row("admitted", &p.Latency.Admitted)
	row("refused", &p.Latency.Refused)
	return t.flush()
}

func (p *loadReport) writeTargets(w io.Writer) error {
	if len(p.Targets) < 2 {
		return nil
	}
	fmt.Fprintln(w)
	t := newTable(w, "URL", "REQUESTS", "ADMITTED", "REFUSED", "OTHER", "ERRORS")
	for i := range p.Targets {
		t.row(append([]string{printable(p.Targets[i].URL)}, p.Targets[i].cells()...)...)
	}
	return t.flush()
}

func (c *loadCount) cells() []string {
	var cells []string
	for _, n := range []int64{c.Requests, c.Admitted, c.Refused, c.Other, c.Errors} {
		cells = append(cells, strconv.FormatInt(n, 10))
	}
	return cells
}

// writeWindows prints each window beside the limit, if there is one.
func (p *loadReport) writeWindows(w io.Writer) error {
	if p.Limit == 0 {
		return nil
	}
	fmt.Fprintln(w)
	t := newTable(w, "WINDOW", "REQUESTS", "ADMITTED", "LIMIT", "OVER", "%", "UNDER", "REFUSED")
	for i := range p.Windows {
		v := &p.Windows[i]
		under, begins := "–", v.Begins.Format(time.TimeOnly)
		if v.Under != nil {
			under = strconv.FormatInt(*v.Under, 10)
		} else {
			begins += " (in part)"
		}
		t.row(begins, strconv.FormatInt(v.Requests, 10), strconv.FormatInt(v.Admitted, 10), strconv.FormatInt(p.Limit, 10),
			strconv.FormatInt(*v.Over, 10), strconv.FormatFloat(*v.OverPercent, 'f', 2, 64), under, strconv.FormatInt(v.Refused, 10))
	}
	if err := t.flush(); err != nil {
		return err
	}
	over, under := p.worst()
	if over != nil {
		fmt.Fprintf(w, "\nLimit %d per %s: over by at most %d (%.2f %%)", p.Limit, p.Window, *over.Over, *over.OverPercent)
		if under != nil {
			fmt.Fprintf(w, ", under by at most %d", *under.Under)
		}
		fmt.Fprintln(w)
	}
	return nil
}

// writeNotes says what is to be known about the figures.
func (p *loadReport) writeNotes(w io.Writer) {
	if p.Stopped {
		fmt.Fprintf(w, "\nStopped before its time; %d requests were under way and are in no figure.\n", p.Abandoned)
	}
	if p.Late > 0 {
		fmt.Fprintf(w, "\n%d requests left late, by %s at most: no client was free, or this machine too busy.\n", p.Late, brief(p.LatestMS))
	}
	if p.Unsent > 0 {
		fmt.Fprintf(w, "\n%d of %d requests were never sent: no client was free until the end. More --clients may help.\n", p.Unsent, p.Due)
	}
}
