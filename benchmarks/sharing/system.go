package main

import (
	"context"
	"fmt"
	"time"

	"github.com/weir-project/weir/limiter"
)

// A system is a way to share counters.
type system struct {
	name      string
	means     string
	algorithm limiter.Algorithm
	accuracy  limiter.Accuracy
	variant   bool // of another system: less of it is measured
	start     func(ctx context.Context, e *environment, subjects []*subject) (fleet, error)
}

// systems are all that can be measured, in the order of the tables.
var systems = []system{
	{
		name: "exact", means: "Weir, exact, fixed windows",
		accuracy: limiter.Exact, start: startWeir,
	},
	{
		name: "bounded", means: "Weir, bounded, fixed windows",
		accuracy: limiter.Bounded, start: startWeir,
	},
	{
		name: "eventual", means: "Weir, what passed is recorded at an interval, and decided by what was recorded",
		accuracy: limiter.Eventual, start: startRecords,
	},
	{
		name: "delta", means: "deltas added up in Redis at the same interval",
		start: startDelta,
	},
	{
		name: "atomic", means: "INCRBY and EXPIRE in Redis for each request",
		start: startAtomic,
	},
	{
		name: "envoy", means: "envoyproxy/ratelimit, asked over gRPC for each request",
		variant: true, start: startEnvoy,
	},
	{
		name: "exact-sliding", means: "Weir, exact, sliding windows",
		algorithm: limiter.SlidingWindow, accuracy: limiter.Exact, variant: true, start: startWeir,
	},
	{
		name: "exact-bucket", means: "Weir, exact, token buckets",
		algorithm: limiter.TokenBucket, accuracy: limiter.Exact, variant: true, start: startWeir,
	},
	{
		name: "bounded-sliding", means: "Weir, bounded, sliding windows",
		algorithm: limiter.SlidingWindow, accuracy: limiter.Bounded, variant: true, start: startWeir,
	},
	{
		name: "bounded-bucket", means: "Weir, bounded, token buckets",
		algorithm: limiter.TokenBucket, accuracy: limiter.Bounded, variant: true, start: startWeir,
	},
}

// systemOf returns a system by name; there is one.
func systemOf(name string) *system {
	for i := range systems {
		if systems[i].name == name {
			return &systems[i]
		}
	}
	return nil
}

// An environment is what a fleet is started in.
type environment struct {
	dir      string
	address  string // of Redis, over a slow way if there is to be one
	prefix   string // of the fleet's keys
	nodes    int
	interval time.Duration
}

// A fleet is nodes that share counters.
type fleet interface {
	nodes() []node
	// spent returns what the fleet has cost since it was started.
	spent() spent
	stop() error
}

// A spent is what a fleet has cost.
type spent struct {
	calls      uint64        // round trips to what counters are shared in
	assertions []uint64      // about each subject, in these calls
	apart      time.Duration // processor time of processes that are the system's own
}

// An outage is that a system cannot be measured here, which is no fault of its.
type outage struct {
	system string
	err    error
}

func (o *outage) Error() string { return fmt.Sprintf("%s is left out: %v", o.system, o.err) }

func (o *outage) Unwrap() error { return o.err }
