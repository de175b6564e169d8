// Command cluster runs three gateways and two traffic managers as processes on
// this machine and drives them: to be looked at, or to be measured.
//
//	go run ./cluster                  several limits at once, for people
//	go run ./cluster accuracy         by how much limits are exceeded or not used up
//	go run ./cluster latency          from the spending call to refusal at every gateway
//
// Everything is on loopback, at ports that were free, and in a temporary folder.
// Processes are stopped by their ids at the end, also after ^C: a second one does
// not hurry that.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// settings are what the command line says.
type settings struct {
	fleet    fleetOptions
	duration time.Duration
	hold     bool
	window   time.Duration
	windows  int
	rate     float64
	only     string
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("cluster: ")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	switch {
	case err == nil:
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		log.Print("stopped")
	default:
		stop()
		log.Fatal(err)
	}
}

func run(ctx context.Context, args []string) error {
	task := "demo"
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		task, args = args[0], args[1:]
	}
	var s settings
	f := flag.NewFlagSet("cluster "+task, flag.ExitOnError)
	f.StringVar(&s.fleet.weir, "weir", "", "the weir binary; empty builds one")
	f.StringVar(&s.fleet.broker, "broker", brokerNATS, "what carries decisions: nats (in each traffic manager) or amqp (a RabbitMQ of its own)")
	f.IntVar(&s.fleet.gateways, "gateways", 3, "gateways")
	f.IntVar(&s.fleet.managers, "managers", 2, "traffic managers")
	f.BoolVar(&s.fleet.alone, "alone", false, "gateways that know of no traffic manager: each counts for itself")
	switch task {
	case "demo":
		f.DurationVar(&s.duration, "duration", 20*time.Second, "for how long requests are sent")
		f.BoolVar(&s.hold, "hold", false, "keep it running until ^C")
	case "accuracy":
		f.DurationVar(&s.window, "window", time.Minute, "window of the limits")
		f.IntVar(&s.windows, "windows", 2, "windows to measure")
		f.StringVar(&s.only, "only", "", "bar: only the row that has a bar; table: all but that")
	case "latency":
		f.IntVar(&s.windows, "windows", 100, "windows of a second to measure, each for three limits")
		f.Float64Var(&s.rate, "rate", 750, "requests a second for each limit, over all gateways")
	default:
		return fmt.Errorf("there is no task %q: it is accuracy, latency, or none", task)
	}
	_ = f.Parse(args) // it exits
	if f.NArg() > 0 {
		return fmt.Errorf("%q is one argument too many", f.Arg(0))
	}
	switch task {
	case "accuracy":
		return accuracy(ctx, &s)
	case "latency":
		return latency(ctx, &s)
	}
	return demo(ctx, &s)
}
