// Package brokertest has the tests that every transport of the broker must pass,
// and starts the brokers that they are tested with as processes of their own.
package brokertest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/test/realserver"
)

const (
	// Queue is how many bytes are to wait for a subscriber of the transports that
	// are tested, so that they are soon too many.
	Queue = 256 << 10
	// recovery is how long a transport may take until it delivers again when its
	// broker is back.
	recovery = 5 * time.Second
	// patience is how long anything else is waited for.
	patience = 20 * time.Second
)

// A Disturber does to a broker what happens to brokers. What a transport has no
// broker for is nil, and is not tested.
type Disturber struct {
	// Kill ends the broker without warning. Start starts it again, empty, at the
	// same address, and returns when it takes connections.
	Kill, Start func(testing.TB)
	// Hang stops the broker's process, and Resume lets it go on.
	Hang, Resume func(testing.TB)
	// Notice is how long a transport may take to notice that a broker hangs.
	Notice time.Duration
}

// Run tests transports. For each test connect returns one that publishes, one that
// subscribes, which may be the same, and what disturbs both; the first is ready to
// publish.
func Run(t *testing.T, connect func(t *testing.T) (publisher, subscriber broker.Transport, d Disturber)) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(*testing.T, *bench)
	}{
		{"ToAll", testToAll},
		{"Order", testOrder},
		{"NothingFromBefore", testNothingFromBefore},
		{"ConnectedFirst", testConnectedFirst},
		{"TopicsAreApart", testTopicsAreApart},
		{"Size", testSize},
		{"NotATopic", testNotATopic},
		{"Messages", testMessages},
		{"ContextEnds", testContextEnds},
		{"SlowSubscriber", testSlowSubscriber},
		{"Hang", testHang},
		{"Restart", testRestart},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := &bench{t: t, tag: test.name + "|"}
			b.publisher, b.subscriber, b.disturb = connect(t)
			test.run(t, b)
		})
	}
}

// A bench is what one test works with.
type bench struct {
	t                     *testing.T
	publisher, subscriber broker.Transport
	disturb               Disturber
	// tag begins the messages of the test: a broker that hung may still deliver
	// those of another.
	tag string
}

// publish publishes a message that must be taken.
func (b *bench) publish(message string) {
	b.t.Helper()
	if err := b.try(broker.ThrottleData, message); err != nil {
		b.t.Fatalf("publish %.40q: %v", message, err)
	}
}

func (b *bench) try(topic, message string) error {
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	return b.publisher.Publish(ctx, topic, []byte(b.tag+message))
}

// fails reports whether publishing fails at once.
func (b *bench) fails() bool {
	began := time.Now()
	return b.try(broker.ThrottleData, "x") != nil && time.Since(began) < 500*time.Millisecond
}

// arrives publishes message again and again until r has heard it.
func (b *bench) arrives(r *recorder, message string) {
	b.t.Helper()
	realserver.Until(b.t, recovery, "message "+message+" arrives", func() bool {
		_ = b.try(broker.ThrottleData, message) // it fails until the publisher is connected again
		return r.heard(message)
	})
}

func testToAll(_ *testing.T, b *bench) {
	var all []*recorder
	for range 3 {
		all = append(all, b.subscribe(broker.ThrottleData))
	}
	var want []string
	buffer := make([]byte, 0, 64)
	for i := range 200 {
		want = append(want, fmt.Sprintf("message %d", i))
		buffer = append(append(buffer[:0], b.tag...), want[i]...)
		if err := b.publisher.Publish(b.t.Context(), broker.ThrottleData, buffer); err != nil {
			b.t.Fatal(err)
		}
		clear(buffer) // nothing is kept of it
	}
	for _, r := range all {
		r.wants(want...)
	}
}

func testOrder(t *testing.T, b *bench) {
	r := b.subscribe(broker.ThrottleData)
	const publishers, each = 3, 100
	var done sync.WaitGroup
	for p := range publishers {
		done.Go(func() {
			for i := range each {
				if err := b.try(broker.ThrottleData, fmt.Sprintf("%d %d", p, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done.Wait()
	realserver.Until(t, patience, "all messages arrive", func() bool { return len(r.messages()) == publishers*each })
	next := make(map[int]int)
	for _, m := range r.messages() {
		var p, i int
		if _, err := fmt.Sscan(m, &p, &i); err != nil || i != next[p] {
			t.Fatalf("heard %q, want number %d of that publisher", m, next[p])
		}
		next[p]++
	}
}

func testNothingFromBefore(_ *testing.T, b *bench) {
	first := b.subscribe(broker.ThrottleData)
	b.publish("before")
	first.wants("before") // it has been delivered, to whom it may concern
	r := b.subscribe(broker.ThrottleData)
	b.publish("after")
	r.wants("after")
}

func testConnectedFirst(t *testing.T, b *bench) {
	ctx, stop := context.WithCancel(t.Context())
	var talks sync.WaitGroup
	defer talks.Wait()
	defer stop()
	talks.Go(func() {
		for ctx.Err() == nil {
			_ = b.try(broker.ThrottleData, "x")
		}
	})
	for range 10 {
		r := b.begin(broker.ThrottleData)
		realserver.Until(t, patience, "a message arrives", func() bool { return r.heard("x") })
		r.stop()
		if got := r.notes()[0]; got != connected {
			t.Errorf("heard %q first, want %s", got, connected)
		}
	}
}

func testTopicsAreApart(_ *testing.T, b *bench) {
	data, notes := b.subscribe(broker.ThrottleData), b.subscribe(broker.Notification)
	b.publish("1")
	if err := b.try(broker.Notification, "2"); err != nil {
		b.t.Fatal(err)
	}
	notes.wants("2")
	b.publish("3")
	data.wants("1", "3")
}

func testSize(_ *testing.T, b *bench) {
	r := b.subscribe(broker.ThrottleData)
	largest := strings.Repeat("x", broker.MaxMessage-len(b.tag))
	if err := b.try(broker.ThrottleData, largest+"x"); err == nil {
		b.t.Errorf("a message of %d bytes was taken", broker.MaxMessage+1)
	}
	b.publish(largest)
	if err := b.publisher.Publish(b.t.Context(), broker.ThrottleData, nil); err != nil {
		b.t.Errorf("an empty message: %v", err)
	}
	b.publish("last")
	r.wants(largest, "", "last")
}

func testNotATopic(_ *testing.T, b *bench) {
	for _, topic := range []string{"", "*", "#", ">", "throttleData.>", "a b"} {
		if err := b.publisher.Publish(b.t.Context(), topic, nil); err == nil {
			b.t.Errorf("published on topic %q", topic)
		}
		ctx, cancel := context.WithTimeout(b.t.Context(), patience)
		defer cancel()
		if err := b.subscriber.Subscribe(ctx, topic, &recorder{}); err == nil || ctx.Err() != nil {
			b.t.Errorf("subscribed to topic %q: %v", topic, err)
		}
	}
}

func testContextEnds(t *testing.T, b *bench) {
	before := goleak.IgnoreCurrent()
	r := b.subscribe(broker.ThrottleData)
	b.publish("1")
	r.wants("1")
	r.stop()
	heard := len(r.notes())
	b.publish("2")
	if got := r.notes(); len(got) != heard {
		t.Errorf("heard %q after the end", got[heard:])
	}
	goleak.VerifyNone(t, before)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.publisher.Publish(ctx, broker.ThrottleData, []byte("3")); err == nil {
		t.Error("published when there was no time left")
	}
	if err := b.subscriber.Subscribe(ctx, broker.ThrottleData, &recorder{}); err != nil {
		t.Errorf("subscribed when there was no time left: %v", err)
	}
	goleak.VerifyNone(t, before)
}

func testSlowSubscriber(t *testing.T, b *bench) {
	slow := b.subscribe(broker.ThrottleData)
	quick := b.subscribe(broker.ThrottleData)
	resume := slow.block()
	defer resume()
	b.publish("first")
	realserver.Until(t, patience, "the slow one is called", slow.blocked)
	for i := range 64 {
		m := fmt.Sprintf("%d ", i) + strings.Repeat("x", Queue/16)
		b.publish(m)
		realserver.Until(t, patience, "the quick one hears it", func() bool { return quick.heard(m) })
	}
	b.publish("last")
	realserver.Until(t, patience, "the quick one hears the last", func() bool { return quick.heard("last") })
	resume()
	realserver.Until(t, patience, "the slow one hears the last", func() bool { return slow.heard("last") })
	if n := len(slow.messages()); n < 8 || n > 20 {
		t.Errorf("the slow one heard %d messages, want about the 16 for which there is room", n)
	}
	// What it missed it was told of, before it heard what came after.
	notes := slow.notes()
	if len(notes) < 5 || notes[1] != "first" || !strings.Contains(notes[2], "dropped") || notes[3] != connected {
		t.Errorf("the slow one heard %.100q", notes)
	}
}

func testHang(t *testing.T, b *bench) {
	if b.disturb.Hang == nil {
		t.Skip("there is no broker that could hang")
	}
	r := b.subscribe(broker.ThrottleData)
	b.disturb.Hang(t)
	defer b.disturb.Resume(t)
	hung := time.Now()
	// More than the buffers between here and the broker hold.
	for failed, i := 0, 0; failed < 10 && i < 300; i++ {
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if b.publisher.Publish(ctx, broker.ThrottleData, make([]byte, broker.MaxMessage)) != nil {
			failed++
		}
		cancel()
		if took := time.Since(began); took > time.Second {
			t.Fatalf("to publish took %v, want no longer than the context allows, 10ms", took)
		}
	}
	realserver.Until(t, b.disturb.Notice, "the subscriber is told", func() bool { return r.lost() > 0 })
	t.Logf("the subscriber was told after %v", time.Since(hung).Round(time.Millisecond))
	realserver.Until(t, b.disturb.Notice, "the publisher is told", b.fails)
	late := b.begin(broker.ThrottleData) // it cannot connect either
	realserver.Until(t, patience, "it is told", func() bool { return late.lost() > 0 })
	late.stop()

	b.disturb.Resume(t)
	resumed := time.Now()
	b.arrives(r, "after")
	t.Logf("messages arrived again after %v", time.Since(resumed).Round(time.Millisecond))
}

func testRestart(t *testing.T, b *bench) {
	if b.disturb.Kill == nil {
		t.Skip("there is no broker that could end")
	}
	r := b.subscribe(broker.ThrottleData)
	b.publish("before")
	r.wants("before")
	b.disturb.Kill(t)
	realserver.Until(t, patience, "the subscriber is told", func() bool { return r.lost() > 0 })
	realserver.Until(t, patience, "the publisher is told", b.fails)
	late := b.begin(broker.ThrottleData) // there is nothing to connect to
	realserver.Until(t, patience, "it is told", func() bool { return late.lost() > 0 })

	b.disturb.Start(t)
	started := time.Now()
	b.arrives(r, "after")
	b.arrives(late, "after")
	t.Logf("messages arrived again after %v", time.Since(started).Round(time.Millisecond))
	notes := r.notes()
	last := 0
	for i, n := range notes {
		if strings.HasPrefix(n, lost) {
			last = i
		}
	}
	if notes[last+1] != connected {
		t.Errorf("heard %q, want %s before any message of a new connection", notes, connected)
	}
}
