package app

import (
	"context"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
	"github.com/weir-project/weir/trafficmanager"
)

// body returns a body that tells of n calls.
func body(n int64) event.Body {
	var e event.Encoder
	i := e.Request(&weir.Fields{}, &weir.Request{
		Time: time.Now(), Context: "/pets/1", Version: "1", Resource: "/all", Verb: "GET", User: "alice", SubscriptionTier: weir.Unlimited,
		Application: weir.Application{ID: "1", Name: "demo", Owner: "alice", Tier: "Few"},
	})
	e.Spend(i, weir.Spent{Requests: n, Events: 1})
	return e.Body()
}

func TestDirect(t *testing.T) {
	m, err := trafficmanager.New(trafficmanager.Options{Limiter: limiter.New(limiter.Options{}), Issuer: "tm-1", ID: 1})
	if err != nil {
		t.Fatal(err)
	}
	set, err := policy.Compile(policy.Definition{Policies: append(policy.Defaults(), few(10))}, policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m.Apply(time.Now(), set)
	log := &logbook{}
	refused := event.RefusedCalls{Levels: [...]uint64{weir.LevelApplication: 3, weir.LevelBackend: 0}}
	d := newDirect(m, "node", func(time.Time) *event.RefusedCalls { return &refused }, 1<<20, logTo(log))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.run(ctx) }()
	for i := range uint64(9) {
		d.Events(i, body(1))
	}
	d.Events(9, nil)
	eventually(t, "they are counted", func() bool { return m.Stats(time.Now()).Counted == 9 })
	if ds, _ := m.Snapshot(time.Now()); len(ds) > 0 {
		t.Errorf("decided after nine of ten: %+v", ds)
	}
	d.Events(10, event.Body("no body"))
	eventually(t, "what can't be counted is said", func() bool { return log.count("could not be counted") == 1 })
	eventually(t, "what the gateway refuses is known", func() bool {
		nodes := m.Stats(time.Now()).Nodes
		return len(nodes) == 1 && nodes[0].Name == "node" && nodes[0].Refused == refused.Levels && nodes[0].Events == 9 && nodes[0].Known
	})
	// What comes last is counted before it ends.
	d.Events(11, body(1))
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if ds, _ := m.Snapshot(time.Now()); len(ds) != 1 || !ds[0].Throttled {
		t.Errorf("got %+v after ten of ten", ds)
	}
}

// TestDirectByAnotherClock has a manager count by a clock that is ahead: events are as old
// by it as they are.
func TestDirectByAnotherClock(t *testing.T) {
	m, err := trafficmanager.New(trafficmanager.Options{Limiter: limiter.New(limiter.Options{}), Issuer: "tm-1", ID: 1})
	if err != nil {
		t.Fatal(err)
	}
	set, err := policy.Compile(policy.Definition{Policies: append(policy.Defaults(), few(10))}, policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return time.Now().Add(time.Hour) }
	m.Apply(now(), set)
	d := newDirect(m, "node", func(time.Time) *event.RefusedCalls { return &event.RefusedCalls{} }, 1<<20, quietly)
	d.ahead = func() time.Duration { return time.Hour }
	d.Events(0, body(1))
	var dec event.Decoder
	for _, b := range d.take() {
		d.count(&dec, b)
	}
	if s := m.Stats(now()); s.Counted != 1 || s.Late != 0 {
		t.Errorf("%d counted, %d late", s.Counted, s.Late)
	}
}

func TestDirectIsBounded(t *testing.T) {
	b := body(1)
	d := newDirect(nil, "node", nil, 3*len(b), quietly)
	for i := range uint64(10) {
		d.Events(i, b)
	}
	if d.bytes > d.most || len(d.take()) != 3 || d.dropped.Load() != 7 {
		t.Errorf("%d bytes wait, %d dropped", d.bytes, d.dropped.Load())
	}
}
