package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/weir-project/weir/cluster"
	"github.com/weir-project/weir/load"
)

// latency measures how long it takes from the call that spends a limit until every
// gateway refuses.
//
// Limits of a second are driven beyond what they admit, evenly over all gateways.
// In each second, the call that spends is the one with which as many are admitted
// as the limit allows. The delay runs from when that was sent until the first
// refusal was received, of each gateway: so the way of both calls through the
// gateway is in it, and up to one pause between two calls to the same gateway.
func latency(ctx context.Context, s *settings) (err error) {
	count := int64(s.rate / 5) // spent after a fifth of the second
	if s.windows < 1 || count < 1 {
		return errors.New("there must be a window, and at least five requests a second")
	}
	var limits []*limit
	for i := range 3 {
		limits = append(limits, &limit{Limit: cluster.Limit{Name: fmt.Sprintf("Second%d", i+1), Count: count, Per: time.Second}, rate: s.rate})
	}
	f, err := startFleet(ctx, s.fleet, limits)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.stop()) }()
	logs, results, err := f.watch(ctx, limits, s.windows)
	if err != nil {
		return err
	}
	var each, every load.Histogram
	over, windows := int64(0), 0
	for i := range logs {
		first := results[i].Started.Unix() + 1
		for _, w := range logs[i].spendings(count, len(f.Gateways), first) {
			windows++
			over += w.over
			for _, d := range w.delays {
				each.Record(d)
			}
			every.Record(slices.Max(w.delays))
		}
	}
	if windows == 0 {
		return errors.New("no limit was spent and then refused by all gateways")
	}
	fmt.Printf("%d gateways, %d traffic managers, decisions over %s; %d times a limit of %d a second was spent at %.4g requests/s.\n\n",
		s.fleet.gateways, s.fleet.managers, s.fleet.broker, windows, count, s.rate)
	writeDelays(os.Stdout, &each, &every)
	fmt.Printf("\nAdmitted beyond the limit meanwhile: %.2f %%.\n", 100*float64(over)/float64(int64(windows)*count))
	writeDoubts(os.Stdout, limits, results)
	return nil
}

// watch drives each limit for so many seconds, after one for everybody to warm up,
// and returns what was seen of each call.
func (f *fleet) watch(ctx context.Context, limits []*limit, seconds int) ([]sightings, []*load.Result, error) {
	logs := make([]sightings, len(limits))
	loads := make([]*load.Load, len(limits))
	for i, l := range limits {
		var err error
		loads[i], err = f.load(l, load.Options{
			Duration: time.Duration(seconds+1) * time.Second, Align: time.Second, Window: time.Second, Observe: logs[i].add,
		})
		if err != nil {
			return nil, nil, err
		}
	}
	results, err := runAll(ctx, loads)
	return logs, results, err
}

// writeDelays writes a table in Markdown.
func writeDelays(w io.Writer, each, every *load.Histogram) {
	fmt.Fprintln(w, "| from the spending call to | p50 | p90 | p99 | max |\n|---|---|---|---|---|")
	for _, row := range []struct {
		name string
		h    *load.Histogram
	}{{"refusal at a gateway", each}, {"refusal at every gateway", every}} {
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", row.name, ms(row.h.Quantile(0.5)), ms(row.h.Quantile(0.9)), ms(row.h.Quantile(0.99)), ms(row.h.Max()))
	}
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

// A sighting is a call that was admitted or refused.
type sighting struct {
	sent, done time.Time
	gateway    int
	admitted   bool
}

// sightings are those of one limit. add is safe for concurrent use.
type sightings struct {
	mu  sync.Mutex
	all []sighting
}

func (s *sightings) add(o load.Observation) {
	if o.Outcome != load.Admitted && o.Outcome != load.Refused {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, sighting{o.Sent, o.Done, o.Target, o.Outcome == load.Admitted})
}

// A spending is how long it took, in one second, until each gateway refused, and
// how many more than the limit were admitted until then.
type spending struct {
	delays []time.Duration // by gateway
	over   int64
}

// spendings returns those of the seconds since the Unix epoch from first on.
// Seconds in which the limit was not spent, or a gateway did not refuse, have none.
func (s *sightings) spendings(limit int64, gateways int, first int64) []spending {
	s.mu.Lock()
	defer s.mu.Unlock()
	seconds := make(map[int64][]sighting)
	for _, v := range s.all {
		if at := v.sent.Unix(); at >= first {
			seconds[at] = append(seconds[at], v)
		}
	}
	var all []spending
	for _, second := range seconds {
		if p, ok := spendingOf(second, limit, gateways); ok {
			all = append(all, p)
		}
	}
	return all
}

func spendingOf(second []sighting, limit int64, gateways int) (spending, bool) {
	slices.SortFunc(second, func(a, b sighting) int { return cmp.Compare(a.sent.UnixNano(), b.sent.UnixNano()) })
	p := spending{delays: make([]time.Duration, gateways), over: -limit}
	var spent time.Time
	left := gateways
	for _, v := range second {
		if v.admitted {
			if p.over++; p.over == 0 {
				spent = v.sent
			}
		} else if !spent.IsZero() && p.delays[v.gateway] == 0 {
			p.delays[v.gateway] = v.done.Sub(spent)
			left--
		}
	}
	return p, left == 0
}
