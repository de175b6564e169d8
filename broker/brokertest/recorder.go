package brokertest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-project/weir/test/realserver"
)

// What a recorder notes besides messages.
const (
	connected = "(connected)"
	lost      = "(lost) "
)

// A recorder is a subscriber that notes what it is told.
type recorder struct {
	t      testing.TB
	tag    string // of the messages that are noted, without it
	cancel context.CancelFunc
	done   chan error

	mu    sync.Mutex
	noted []string
	wait  chan struct{} // what Message waits for; nil: nothing
	waits bool
}

// begin subscribes to a topic until the test ends.
func (b *bench) begin(topic string) *recorder {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &recorder{t: b.t, tag: b.tag, cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- b.subscriber.Subscribe(ctx, topic, r) }()
	b.t.Cleanup(r.stop)
	return r
}

// subscribe subscribes to a topic until the test ends. All that is published from
// now on is heard.
func (b *bench) subscribe(topic string) *recorder {
	b.t.Helper()
	r := b.begin(topic)
	realserver.Until(b.t, patience, "the subscriber is connected", func() bool { return slices.Contains(r.notes(), connected) })
	return r
}

// stop ends the subscription, which must not take long, whatever its broker does.
func (r *recorder) stop() {
	r.t.Helper()
	r.cancel()
	select {
	case err := <-r.done:
		if err != nil {
			r.t.Errorf("subscribe: %v", err)
		}
		r.done <- nil // for who stops it again
	case <-time.After(recovery):
		r.t.Errorf("subscribe has not returned %v after its end", recovery)
	}
}

// Connected implements broker.Subscriber.
func (r *recorder) Connected() { r.note(connected) }

// Lost implements broker.Subscriber.
func (r *recorder) Lost(err error) { r.note(lost + err.Error()) }

// Message implements broker.Subscriber.
func (r *recorder) Message(message []byte) {
	text, ours := strings.CutPrefix(string(message), r.tag)
	if !ours && text != "" {
		return
	}
	r.note(text)
	r.mu.Lock()
	wait := r.wait
	r.waits = wait != nil
	r.mu.Unlock()
	if wait != nil {
		<-wait
	}
}

func (r *recorder) note(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.noted = append(r.noted, s)
}

// block makes Message wait until resume is called.
func (r *recorder) block() (resume func()) {
	wait := make(chan struct{})
	r.mu.Lock()
	r.wait = wait
	r.mu.Unlock()
	return sync.OnceFunc(func() {
		r.mu.Lock()
		r.wait = nil
		r.mu.Unlock()
		close(wait)
	})
}

// blocked reports whether Message waits.
func (r *recorder) blocked() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.waits
}

func (r *recorder) notes() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.noted)
}

// messages returns the messages that were heard.
func (r *recorder) messages() []string {
	return slices.DeleteFunc(r.notes(), func(s string) bool { return s == connected || strings.HasPrefix(s, lost) })
}

func (r *recorder) heard(message string) bool { return slices.Contains(r.notes(), message) }

// lost returns how often a connection was lost.
func (r *recorder) lost() (n int) {
	for _, s := range r.notes() {
		if strings.HasPrefix(s, lost) {
			n++
		}
	}
	return n
}

// wants waits until these messages are heard, and no others.
func (r *recorder) wants(messages ...string) {
	r.t.Helper()
	realserver.Until(r.t, patience, "all messages arrive", func() bool { return len(r.messages()) >= len(messages) })
	if got := r.messages(); !slices.Equal(got, messages) {
		r.t.Errorf("heard %.200q, want %.200q", got, messages)
	}
}
