package drill

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/weir-project/weir/cluster"
	"github.com/weir-project/weir/load"
)

// A run is one drill that is made.
type run struct {
	plan    *plan
	options *Options
	limits  []*cluster.Limit
	cluster *cluster.Cluster

	began  time.Time // of the load
	struck time.Time
	mended time.Time // when the failure was over; struck if it is not mended
	whole  time.Time // when all nodes said that they are connected again; zero: never

	mu     sync.Mutex
	events []Event
}

// The course of a drill, from the beginning of the load on. The failure is within a window
// of each limit, so that rights are held and none is spent: they are 0.4 s and 2 s after
// the windows' beginnings.
const (
	align    = 5 * time.Second // the longest of the limits' windows
	strikeAt = 6300 * time.Millisecond
	duration = 25 * time.Second
	// look is how often it is looked whether all is well again.
	look = 50 * time.Millisecond
)

// make makes the drill.
func (r *run) make(ctx context.Context) (report *Report, err error) {
	o := cluster.Options{
		Weir: r.options.Weir, Gateways: r.options.Gateways, Managers: r.options.Managers, Limits: r.limits,
		Broker: r.plan.broker, BrokerCommand: r.options.BrokerCommand,
	}
	if err := r.chooseStore(&o); err != nil {
		return nil, err
	}
	r.say("starts %d gateways and %d traffic managers", o.Gateways, o.Managers)
	if r.cluster, err = cluster.Start(ctx, o); err != nil {
		return nil, err
	}
	defer func() {
		if stopped := r.cluster.Stop(); stopped != nil {
			report, err = nil, errors.Join(err, stopped)
		}
	}()
	logs, err := r.drive(ctx)
	if err != nil {
		return nil, err
	}
	return r.report(logs), nil
}

// chooseStore says which store the cluster gets.
func (r *run) chooseStore(o *cluster.Options) error {
	_, missing := cluster.FindServer()
	harms := r.plan.store == ownStore || r.plan.store == sentinels
	switch {
	case r.options.Store != "" && harms:
		return errors.New("it would harm the store that was named: leave --store out")
	case r.options.Store != "":
		if host, port, err := net.SplitHostPort(r.options.Store); err != nil || host == "" || port == "" {
			return fmt.Errorf("the store must be host:port, not %q", r.options.Store)
		}
		o.StoreAddress = r.options.Store
	case missing == nil:
		o.Store = true
	case r.plan.store != anyStore:
		return missing
	default:
		r.say("%v; so there are no limits that are exact or bounded", missing)
		r.limits = slices.DeleteFunc(r.limits, func(l *cluster.Limit) bool { return l.Accuracy == exact || l.Accuracy == bounded })
	}
	if r.plan.store == sentinels {
		o.Sentinels = 3
	}
	o.Proxy = r.plan.store == proxied
	return nil
}

// say tells what happens.
func (r *run) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.began.IsZero() {
		r.options.Progress(text)
		return
	}
	at := time.Since(r.began).Seconds()
	r.options.Progress(fmt.Sprintf("%4.1f s  %s", at, text))
	r.events = append(r.events, Event{At: float64(int(at*1000)) / 1000, What: text})
}

// A log is what was seen of one limit's requests. Its method add is for many
// goroutines at once.
type log struct {
	limit *cluster.Limit
	mu    sync.Mutex
	all   []load.Observation
}

func (l *log) add(o load.Observation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, o)
}

// drive makes the loads, and the failure meanwhile.
func (r *run) drive(ctx context.Context) ([]*log, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// All begin at the same moment: not so near that some would miss it.
	now := time.Now()
	began := now.Truncate(align).Add(align)
	if began.Sub(now) < time.Second {
		began = began.Add(align)
	}
	if err := sleepUntil(ctx, began.Add(-align+50*time.Millisecond)); err != nil {
		return nil, err
	}
	logs := make([]*log, len(r.limits))
	ended := make(chan error, len(r.limits)+1)
	for i, l := range r.limits {
		logs[i] = &log{limit: l}
		one, err := load.New(load.Options{
			Targets: r.cluster.Targets(l), Header: []load.Field{{Name: "ApiKey", Value: l.Key}},
			Rate: rate, Clients: 8 * len(r.cluster.Gateways), Duration: duration, Align: align, Timeout: 10 * time.Second,
			Observe: logs[i].add,
		})
		if err != nil {
			return nil, err
		}
		go func() {
			_, err := one.Run(ctx)
			ended <- err
		}()
	}
	r.mu.Lock()
	r.began = began
	r.mu.Unlock()
	go func() { ended <- r.fail(ctx) }()
	var errs []error
	for range cap(ended) {
		if err := <-ended; err != nil {
			cancel() // the others are of no use
			errs = append(errs, err)
		}
	}
	return logs, errors.Join(errs...)
}

// fail makes the failure, mends it, and waits until all is well again.
func (r *run) fail(ctx context.Context) error {
	if err := sleepUntil(ctx, r.began); err != nil {
		return err
	}
	r.say("load begins: %d requests a second", rate*len(r.limits))
	if err := sleepUntil(ctx, r.began.Add(strikeAt)); err != nil {
		return err
	}
	r.struck = time.Now()
	if err := r.plan.strike(r.cluster); err != nil {
		return err
	}
	r.say("%s", r.plan.about)
	r.mended = r.struck
	if r.plan.mend != nil {
		if err := sleepUntil(ctx, r.struck.Add(r.plan.lasts)); err != nil {
			return err
		}
		if err := r.plan.mend(r.cluster); err != nil {
			return err
		}
		r.mended = time.Now()
		r.say("mended")
	}
	return r.awaitWhole(ctx)
}

// awaitWhole looks until all nodes say that they are well, or the load ends.
func (r *run) awaitWhole(ctx context.Context) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	bad := r.plan.mend != nil // the failure may not have been noticed yet
	for end := r.began.Add(duration); time.Now().Before(end); {
		err := r.cluster.Whole(ctx)
		switch {
		case err != nil:
			bad = true
		case bad:
			r.whole = time.Now()
			r.say("all nodes are connected again")
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if !bad {
		r.whole = r.mended // nothing was ever amiss
	}
	return nil
}

func sleepUntil(ctx context.Context, at time.Time) error {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
