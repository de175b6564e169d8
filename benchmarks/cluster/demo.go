package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/weir-project/weir/cluster"
	"github.com/weir-project/weir/load"
)

// demo shows a fleet at work: several limits, each driven beyond what it admits.
func demo(ctx context.Context, s *settings) (err error) {
	const window = 10 * time.Second
	limits := []*limit{
		{Limit: cluster.Limit{Name: "Ten", Count: 10, Per: window}, rate: 6},
		{Limit: cluster.Limit{Name: "Hundred", Level: cluster.Subscription, Count: 100, Per: window}, rate: 30},
		{Limit: cluster.Limit{Name: "ThreeHundred", Level: cluster.Resource, Count: 300, Per: window}, rate: 90},
		{Limit: cluster.Limit{Name: "Thousand", Count: 1000, Per: window}, rate: 200},
		{Limit: cluster.Limit{Name: "Enough", Count: 1000, Per: window}, rate: 50},
	}
	broker := ""
	if s.fleet.broker == brokerAMQP && !s.fleet.alone {
		broker = "RabbitMQ (which takes some ten seconds), "
	}
	fmt.Printf("Starting %s%d gateways and %d traffic managers…\n", broker, s.fleet.gateways, s.fleet.managers)
	f, err := startFleet(ctx, s.fleet, limits)
	if err != nil {
		return err
	}
	defer func() {
		failed := f.stop()
		if err = errors.Join(err, failed); failed == nil {
			fmt.Println("\nStopped; nothing is left behind.")
		}
	}()
	f.introduce(limits)
	results, err := f.drive(ctx, limits, load.Options{Duration: s.duration, Align: window, Window: window})
	if err != nil {
		return err
	}
	if err := writeDemo(os.Stdout, limits, results); err != nil {
		return err
	}
	if s.hold && ctx.Err() == nil {
		fmt.Println("\nIt goes on running until ^C.")
		<-ctx.Done()
	}
	return nil
}

// introduce says what is running, and what to try.
func (f *fleet) introduce(limits []*limit) {
	fmt.Println()
	for i, g := range f.Gateways {
		fmt.Printf("  gateway %d          %s/cluster/any\n", i+1, g.URL)
	}
	for i, m := range f.Managers {
		fmt.Printf("  traffic manager %d  %s\n", i+1, m.URL)
	}
	if f.options.alone {
		fmt.Print("\nThe gateways count alone: nobody tells them of each other.\n\n")
		return
	}
	fmt.Printf("  decisions          over %s\n", f.options.broker)
	var urls []string
	for _, m := range f.Managers {
		urls = append(urls, "--url "+m.URL)
	}
	user, password := f.Login()
	fmt.Printf("\nTo look on, in another terminal:\n\n  %s top %s --user %s:%s\n", f.options.weir, strings.Join(urls, " "), user, password)
	fmt.Printf("\nA load of your own, against the limit of %s:\n\n  %s load %s --header 'ApiKey: %s' --rate 20 --align 10s --window 10s --limit %d\n\n",
		limits[0], f.options.weir, strings.Join(f.Targets(&limits[0].Limit), " "), limits[0].Key, limits[0].Count)
}

// drive makes a load for each limit, all at once, and shows how far they are. o
// has what the loads have in common.
func (f *fleet) drive(ctx context.Context, limits []*limit, o load.Options) ([]*load.Result, error) {
	loads := make([]*load.Load, len(limits))
	for i, l := range limits {
		var err error
		if loads[i], err = f.load(l, o); err != nil {
			return nil, err
		}
	}
	done := make(chan struct{})
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		showProgress(loads, o.Duration, done)
	}()
	defer func() {
		close(done)
		<-shown
	}()
	return runAll(ctx, loads)
}

// load makes the load of a limit: evenly over all gateways.
func (f *fleet) load(l *limit, o load.Options) (*load.Load, error) {
	o.Targets, o.Rate, o.Clients = f.Targets(&l.Limit), l.rate, 8*len(f.Gateways)
	o.Header = []load.Field{{Name: "ApiKey", Value: l.Key}}
	return load.New(o)
}

// runAll runs loads at the same time and returns what came of them.
func runAll(ctx context.Context, loads []*load.Load) ([]*load.Result, error) {
	type outcome struct {
		at     int
		result *load.Result
		err    error
	}
	outcomes := make(chan outcome)
	for i, l := range loads {
		go func() {
			r, err := l.Run(ctx)
			outcomes <- outcome{i, r, err}
		}()
	}
	results := make([]*load.Result, len(loads))
	var errs []error
	for range loads {
		o := <-outcomes
		results[o.at] = o.result
		errs = append(errs, o.err)
	}
	return results, errors.Join(errs...)
}

// showProgress shows how far loads are, as one line that is written anew, or
// where nobody looks, not at all.
func showProgress(loads []*load.Load, duration time.Duration, done <-chan struct{}) {
	info, err := os.Stderr.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		<-done
		return
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-done:
			fmt.Fprint(os.Stderr, "\r\x1b[K")
			return
		}
		var admitted, refused, failed int64
		part, started := 0.0, false
		for _, l := range loads {
			p := l.Progress()
			admitted, refused, failed = admitted+p.Total.Admitted, refused+p.Total.Refused, failed+p.Total.Failed
			part, started = float64(p.Elapsed)/float64(duration), started || p.Started
		}
		if !started {
			fmt.Fprint(os.Stderr, "\rwaiting for the next window\x1b[K")
			continue
		}
		full := min(int(30*part), 30)
		fmt.Fprintf(os.Stderr, "\r[%s%s] %d admitted, %d refused, %d errors\x1b[K",
			strings.Repeat("=", full), strings.Repeat(" ", 30-full), admitted, refused, failed)
	}
}

// writeDemo prints what came of each limit.
func writeDemo(to io.Writer, limits []*limit, results []*load.Result) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "LEVEL\tLIMIT\tSENT\tADMITTED\tREFUSED\tERRORS\tWINDOWS\tADMITTED IN EACH\tOVERSHOOT")
	for i, r := range results {
		l := limits[i]
		t := r.Total
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\n", l.Level, l, t.Sent(), t.Admitted, t.Refused, t.Other+t.Failed,
			len(r.Windows), each(r.Windows), overshoot(l, r.Windows))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	writeDoubts(to, limits, results)
	return nil
}

// each lists how many were admitted in each window.
func each(windows []load.Window) string {
	var all []string
	for _, w := range windows {
		all = append(all, fmt.Sprint(w.Admitted))
	}
	return strings.Join(all, ", ")
}

// overshoot says by how much the limit was exceeded in the worst window.
func overshoot(l *limit, windows []load.Window) string {
	var worst int64
	for i := range windows {
		worst = max(worst, windows[i].Over(l.Count))
	}
	return fmt.Sprintf("%d (%.2f %%)", worst, 100*float64(worst)/float64(l.Count))
}
