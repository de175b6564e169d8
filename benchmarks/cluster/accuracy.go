package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/weir-project/weir/cluster"
	"github.com/weir-project/weir/load"
)

// accuracy measures by how much a fleet exceeds its limits or leaves them unused,
// and prints it as a table for docs/performance.md.
//
// The rows of the table are measured at the same time: in windows of a minute they
// are less than a thousand requests a second together. The row with a bar is
// measured alone: 1000 requests a second on 10 000 a minute.
func accuracy(ctx context.Context, s *settings) (err error) {
	if s.window < time.Second || s.window%time.Second != 0 || s.windows < 1 {
		return errors.New("the window must be whole seconds, and there must be one")
	}
	table, bar := accuracyLimits(s.window)
	f, err := startFleet(ctx, s.fleet, append(append([]*limit(nil), table...), bar))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.stop()) }()
	o := load.Options{Duration: time.Duration(s.windows) * s.window, Align: s.window, Window: s.window}
	var limits []*limit
	var results []*load.Result
	measure := func(some ...*limit) error {
		r, err := f.drive(ctx, some, o)
		if err == nil && ctx.Err() != nil {
			err = ctx.Err()
		}
		limits, results = append(limits, some...), append(results, r...)
		return err
	}
	if s.only != "bar" {
		if err := measure(table...); err != nil {
			return err
		}
	}
	if s.only != "table" {
		if err := measure(bar); err != nil {
			return err
		}
	}
	fmt.Printf("%d gateways, %d traffic managers, decisions over %s, %d windows of %s each.\n\n",
		s.fleet.gateways, s.fleet.managers, s.fleet.broker, s.windows, shorter(s.window))
	writeAccuracy(os.Stdout, limits, results)
	return nil
}

// accuracyLimits returns the limits of the table, and the one that has a bar. The
// bar's rate is 1000 a second if the window is a minute, and as many a window
// otherwise.
func accuracyLimits(window time.Duration) (table []*limit, bar *limit) {
	for _, count := range []int64{10, 100, 1000, 10_000} {
		for _, factor := range []float64{0.5, 1, 3} {
			table = append(table, &limit{
				Limit: cluster.Limit{Name: fmt.Sprintf("Limit%dRate%.0f", count, 10*factor), Count: count, Per: window},
				rate:  factor * float64(count) / window.Seconds(),
			})
		}
	}
	return table, &limit{Limit: cluster.Limit{Name: "Bar", Count: 10_000, Per: window}, rate: 60_000 / window.Seconds()}
}

// An inaccuracy is by how much one limit was missed, in percent of it: in the mean
// of its windows and in the worst.
type inaccuracy struct {
	windows           int
	admitted          float64 // in a window
	over, worstOver   float64
	under, worstUnder float64
	errors            int64
}

// inaccuracyOf looks at the whole windows of a result.
func inaccuracyOf(l *limit, r *load.Result) (a inaccuracy) {
	percent := 100 / float64(l.Count)
	for i := range r.Windows {
		w := &r.Windows[i]
		if !w.Whole {
			continue
		}
		a.windows++
		over, under := percent*float64(w.Over(l.Count)), percent*float64(w.Under(l.Count))
		a.admitted += float64(w.Admitted)
		a.over, a.worstOver = a.over+over, max(a.worstOver, over)
		a.under, a.worstUnder = a.under+under, max(a.worstUnder, under)
	}
	n := float64(max(a.windows, 1))
	a.admitted, a.over, a.under = a.admitted/n, a.over/n, a.under/n
	a.errors = r.Total.Other + r.Total.Failed
	return a
}

// writeAccuracy writes a table in Markdown.
func writeAccuracy(w io.Writer, limits []*limit, results []*load.Result) {
	fmt.Fprintln(w, "| limit | requests/s | of the limit | admitted | over, mean | over, worst | under, mean | under, worst | errors |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|")
	for i, l := range limits {
		a := inaccuracyOf(l, results[i])
		fmt.Fprintf(w, "| %s | %.4g | %.4g × | %.1f | %.2f %% | %.2f %% | %.2f %% | %.2f %% | %d |\n", l, l.rate,
			l.rate*l.Per.Seconds()/float64(l.Count), a.admitted, a.over, a.worstOver, a.under, a.worstUnder, a.errors)
	}
	writeDoubts(w, limits, results)
}

// writeDoubts writes what speaks against the figures.
func writeDoubts(w io.Writer, limits []*limit, results []*load.Result) {
	var due, late, unsent int64
	for i, r := range results {
		due, late, unsent = due+r.Due, late+r.Late, unsent+r.Unsent
		for _, f := range r.Faults {
			fmt.Fprintf(w, "\n%d requests failed at %.4g/s on %s: %s, %s\n", f.Count, limits[i].rate, limits[i], f.Kind, f.Example)
		}
		for status, n := range r.Statuses {
			if status != http.StatusOK && status != http.StatusTooManyRequests {
				fmt.Fprintf(w, "\n%d requests got %d at %.4g/s on %s.\n", n, status, limits[i].rate, limits[i])
			}
		}
	}
	if unsent > 0 || late > due/100 {
		fmt.Fprintf(w, "\nOf %d requests %d left more than 10 ms late and %d never: this machine was too busy to measure it well.\n", due, late, unsent)
	}
}
