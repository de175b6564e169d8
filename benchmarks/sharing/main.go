// Command sharing measures how exactly and at what cost nodes share counters: Weir's
// ways to do so beside one atomic call of Redis for each request, beside
// envoyproxy/ratelimit, which does that, and beside deltas that are added up in
// Redis at the same interval.
//
//	go run ./sharing                                  all of it, in 5 minutes
//	go run ./sharing -systems exact,atomic -nodes 3   some of it
//	go run ./sharing -rtt 1ms -systems exact          with a slow way to Redis
//	go run ./sharing -window 1m -limits 16.667        in windows of real minutes
//
// Everything is real but the requests: nodes that decide in goroutines of their own, a
// redis-server on loopback, sockets. Each system gets the same arrivals, at random
// times, one system after the other. How many came late is told: it shows a machine that is
// too busy, or a system that cannot keep up.
//
// envoyproxy/ratelimit is built by the go command when it is first measured, for which that
// needs the network, and kept in the user's cache. Where it cannot be had it is left out.
//
// What a limit means is told by what was let pass and when, by this machine's clock,
// which is Redis's too.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// settings are what the command line says.
type settings struct {
	systems  []string
	nodes    []int
	limits   []float64
	spreads  []string
	window   time.Duration
	windows  int
	interval time.Duration
	rtt      time.Duration
	out      string
	quick    bool
}

func main() {
	runtime.LockOSThread() // see attributes
	log.SetFlags(0)
	log.SetPrefix("sharing: ")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := parse(os.Args[1:])
	if err == nil {
		err = run(ctx, s)
	}
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case ctx.Err() != nil:
		log.Print("stopped")
	default:
		stop()
		log.Fatal(err)
	}
}

// parse reads the command line.
func parse(args []string) (*settings, error) {
	var names []string
	for _, m := range systems {
		names = append(names, m.name)
	}
	s := &settings{}
	f := flag.NewFlagSet("sharing", flag.ContinueOnError)
	only := f.String("systems", "", "of "+strings.Join(names, ", ")+"; empty: all")
	nodes := f.String("nodes", "1,3,10", "how many nodes")
	limits := f.String("limits", "10,100,1000,16667", "limits, in requests a second")
	spread := f.String("spreads", "even,skewed,one", "over which nodes requests come")
	f.DurationVar(&s.window, "window", time.Second, "window of the limits; envoyproxy/ratelimit has 1s, 1m, 1h")
	f.IntVar(&s.windows, "windows", 4, "whole windows to measure")
	f.DurationVar(&s.interval, "interval", 10*time.Millisecond, "how long what was spent may wait until it is told")
	f.DurationVar(&s.rtt, "rtt", 0, "what a round trip to Redis takes in addition, as 300us, 1ms or 5ms")
	f.StringVar(&s.out, "o", "", "also write all figures to this file, as JSON")
	f.BoolVar(&s.quick, "quick", false, "a little of it, to see that it works: no figures to quote")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("%q is one argument too many", f.Arg(0))
	}
	if s.window < time.Second || s.windows < 1 || s.interval <= 0 || s.rtt < 0 {
		return nil, errors.New("windows are of a second at least, and there must be one; no time is negative")
	}
	s.systems, s.spreads = names, strings.Split(*spread, ",")
	for _, name := range s.spreads {
		if !slices.Contains([]string{"even", "skewed", "one"}, name) {
			return nil, fmt.Errorf("-spreads: there is no %q: there are even, skewed and one", name)
		}
	}
	if *only != "" {
		s.systems = strings.Split(*only, ",")
	}
	for _, name := range s.systems {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("there is no system %q: there are %s", name, strings.Join(names, ", "))
		}
	}
	for n := range strings.SplitSeq(*nodes, ",") {
		v, err := strconv.Atoi(n)
		if err != nil || v < 1 || v > 64 {
			return nil, fmt.Errorf("-nodes: %q is no number of nodes", n)
		}
		s.nodes = append(s.nodes, v)
	}
	for n := range strings.SplitSeq(*limits, ",") {
		v, err := strconv.ParseFloat(n, 64)
		if err != nil || v*s.window.Seconds() < 1 || v > 1e6 {
			return nil, fmt.Errorf("-limits: %q a second is no limit to measure in windows of %s", n, shorter(s.window))
		}
		s.limits = append(s.limits, v)
	}
	if s.quick {
		s.quicken()
	}
	return s, nil
}

// quicken makes it short.
func (s *settings) quicken() {
	s.windows, s.window = 1, time.Second
	s.nodes, s.limits = []int{3}, []float64{10, 1000}
}
