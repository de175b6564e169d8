package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/weir-project/weir/cluster"
)

// The kinds of broker.
const (
	brokerNATS = "nats"
	brokerAMQP = "amqp"
)

type fleetOptions struct {
	weir               string // the binary; empty builds one
	broker             string
	gateways, managers int
	alone              bool
}

// A fleet is gateways and traffic managers that are running.
type fleet struct {
	*cluster.Cluster
	options fleetOptions
	built   string // folder of the binary; empty: there was one
}

// A limit is one of a fleet, and how it is driven.
type limit struct {
	cluster.Limit
	rate float64 // requests a second that are sent to it
}

func (l *limit) String() string { return fmt.Sprintf("%d per %s", l.Count, shorter(l.Per)) }

// startFleet starts everything, and returns when all gateways serve, are known to
// all traffic managers and hear their decisions. What it started it stops again if
// it fails.
func startFleet(ctx context.Context, o fleetOptions, limits []*limit) (*fleet, error) {
	if o.gateways < 1 || o.managers < 1 {
		return nil, errors.New("there must be a gateway and a traffic manager")
	}
	kind, ok := map[string]cluster.BrokerKind{brokerNATS: cluster.InManagers, brokerAMQP: cluster.RabbitMQ}[o.broker]
	if !ok {
		return nil, fmt.Errorf("there is no broker %q: it is %s or %s", o.broker, brokerNATS, brokerAMQP)
	}
	f := &fleet{options: o}
	err := f.findBinary()
	if err == nil {
		err = f.start(ctx, kind, limits)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(f.built))
	}
	return f, nil
}

func (f *fleet) start(ctx context.Context, kind cluster.BrokerKind, limits []*limit) (err error) {
	o := cluster.Options{Weir: f.options.weir, Gateways: f.options.gateways, Managers: f.options.managers, Broker: kind}
	if f.options.alone {
		o.Managers = 0
	}
	for _, l := range limits {
		o.Limits = append(o.Limits, &l.Limit)
	}
	f.Cluster, err = cluster.Start(ctx, o)
	return err
}

// findBinary says where the binary is, and builds it if there is none.
func (f *fleet) findBinary() (err error) {
	if f.options.weir != "" {
		f.options.weir, err = filepath.Abs(f.options.weir)
		return err
	}
	if f.built, err = os.MkdirTemp("", "weir-cluster-"); err != nil {
		return err
	}
	f.options.weir = filepath.Join(f.built, "weir")
	return build(f.options.weir)
}

// build builds the binary.
func build(to string) error {
	if out, err := exec.Command("go", "build", "-C", "..", "-o", to, "./cmd/weir").CombinedOutput(); err != nil {
		return fmt.Errorf("build: %s: %w", out, err)
	}
	return nil
}

// stop stops everything and removes all files.
func (f *fleet) stop() error { return errors.Join(f.Stop(), os.RemoveAll(f.built)) }

// shorter returns d without the units that are zero.
func shorter(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}
