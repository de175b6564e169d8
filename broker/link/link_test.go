package link_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/broker/link"
	"github.com/weir-project/weir/test/realserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bubble runs f in virtual time.
func bubble(t *testing.T, f func(t *testing.T)) { t.Helper(); synctest.Test(t, f) }

// notes is a subscriber that notes what it hears.
type notes []string

func (n *notes) Connected()       { *n = append(*n, "connected") }
func (n *notes) Lost(err error)   { *n = append(*n, "lost: "+err.Error()) }
func (n *notes) Message(m []byte) { *n = append(*n, string(m)) }

// drain tells n what is in an inbox.
func drain(t *testing.T, in *link.Inbox) (n notes) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		in.Run(ctx, &n)
	}()
	synctest.Wait()
	cancel()
	<-done
	return n
}

func TestInbox(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var dropped atomic.Uint64
		in := link.NewInbox(10_000, &dropped)
		hears := func(want ...string) {
			t.Helper()
			if got := drain(t, in); !reflect.DeepEqual(got, notes(want)) {
				t.Errorf("heard %.60q, want %.60q", got, want)
			}
		}
		message := func(n int) string { return strings.Repeat("x", 1000) + fmt.Sprint(n) }
		fill := func(n int) {
			for i := range n {
				in.Message([]byte(message(i)))
			}
		}
		in.Lost(errors.New("refused"))
		in.Connected()
		in.Message([]byte("a"))
		in.Message(nil)
		hears("lost: refused", "connected", "a", "")

		// More than fits: the oldest are missing, and this is said before what is left.
		fill(12)
		hears("lost: 3 messages were dropped because they were not taken in time", "connected",
			message(3), message(4), message(5), message(6), message(7), message(8), message(9), message(10), message(11))
		if got := dropped.Load(); got != 3 {
			t.Errorf("dropped %d, want 3", got)
		}

		// What was lost and connected meanwhile is not lost with them.
		fill(3)
		in.Lost(errors.New("EOF"))
		fill(10)
		in.Connected()
		in.Message([]byte("new"))
		if got := drain(t, in); got[0] != "lost: EOF" || got[len(got)-2] != "connected" || got[len(got)-1] != "new" {
			t.Errorf("heard %.60q", got)
		}
		hears()
	})
}

// However long a subscriber takes, what waits for it is bounded, even if nothing
// but losses comes.
func TestInboxIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		in := link.NewInbox(64_000, new(atomic.Uint64))
		for range 100_000 {
			in.Lost(errors.New("refused"))
		}
		if got := drain(t, in); len(got) > 1001 {
			t.Errorf("%d losses waited", len(got))
		}
	})
}

// A message on its way when the subscription ends is not told.
func TestInboxEnds(t *testing.T) {
	in := link.NewInbox(0, new(atomic.Uint64))
	in.Connected()
	in.Message([]byte("a"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var n notes
	if in.Run(ctx, &n); n != nil {
		t.Errorf("heard %q", n)
	}
}

func TestOutbox(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var o link.Outbox
		publish := func(message string) error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return o.Publish(ctx, "topic", []byte(message))
		}
		if err := publish("a"); err == nil || o.Err() == nil {
			t.Error("published before there was a connection")
		}
		o.Down(errors.New("refused"))
		if err := publish("a"); err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("got %v, want why there is no connection", err)
		}
		done, hang := make(chan struct{}), make(chan struct{})
		served := make(chan error)
		var written []string
		go func() {
			served <- o.Serve(done, func(topic string, m []byte) (bool, error) {
				written = append(written, topic+" "+string(m))
				switch string(m) {
				case "hang":
					<-hang
				case "no":
					return true, errors.New("not this one")
				}
				return true, nil
			})
		}()
		synctest.Wait()
		if err := publish("b"); err != nil || o.Err() != nil {
			t.Error(err, o.Err())
		}
		if err := publish("no"); err == nil || err.Error() != "not this one" {
			t.Errorf("got %v", err)
		}
		began := time.Now()
		for range 3 { // the first hangs, the others wait for it
			if err := publish("hang"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("three that waited a second each took %v", took)
		}
		waiting := make(chan error)
		go func() { waiting <- publish("never") }()
		synctest.Wait()
		close(done)
		close(hang)
		if err := <-served; err != nil {
			t.Error(err)
		}
		o.Down(errors.New("EOF"))
		if err := <-waiting; err == nil && len(written) != 4 {
			t.Errorf("got %v for a message that was not written", err)
		}
		if err := publish("late"); err == nil {
			t.Error("published when the connection was gone")
		}
	})
}

// A connection that is no longer good after a write ends, and says why.
func TestOutboxFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var o link.Outbox
		served := make(chan error)
		broken := errors.New("broken pipe")
		go func() {
			served <- o.Serve(nil, func(string, []byte) (bool, error) { return false, broken })
		}()
		synctest.Wait()
		if err := o.Publish(t.Context(), "topic", nil); !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
		if err := <-served; !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
		if err := o.Publish(t.Context(), "topic", nil); err == nil {
			t.Error("published when the connection was gone")
		}
	})
}

// keep runs Keep for a time, with sessions that end as outcomes say and then hang,
// and returns when they began.
func keep(t *testing.T, most time.Duration, outcome func(n int, up func()) error) (began []time.Duration, losses int, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	start := time.Now()
	err = link.Keep(ctx, func(_ context.Context, up func()) error {
		began = append(began, time.Since(start))
		return outcome(len(began), up)
	}, func(error) { losses++ })
	return began, losses, err
}

func TestKeepPauses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		refused := errors.New("connection refused")
		began, losses, err := keep(t, time.Minute, func(int, func()) error { return refused })
		if err != nil || losses != len(began) {
			t.Errorf("%v, %d losses of %d", err, losses, len(began))
		}
		for i := 1; i < len(began); i++ {
			pause := began[i] - began[i-1]
			most := min(100*time.Millisecond<<min(i-1, 10), link.MaxPause)
			if pause < most/2 || pause > most {
				t.Errorf("pause %d is %v, want %v to %v", i, pause, most/2, most)
			}
		}
		if len(began) < 30 {
			t.Errorf("%d attempts in a minute", len(began))
		}
	})
}

// A connection that held is made again at once, one that was cut at once is not.
func TestKeepAfterConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, tt := range []struct {
			held, most time.Duration
		}{
			{time.Minute, 100 * time.Millisecond},
			{time.Millisecond, link.MaxPause},
		} {
			began, _, _ := keep(t, 20*time.Minute, func(n int, up func()) error {
				if n == 8 {
					up()
					time.Sleep(tt.held)
				}
				return errors.New("EOF")
			})
			if pause := began[8] - began[7] - tt.held; pause > tt.most || pause < tt.most/2 {
				t.Errorf("a connection that held for %v is made again after %v", tt.held, pause)
			}
		}
	})
}

// Only who starts is told that it is refused.
func TestKeepRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		refused := link.Refused(errors.New("wrong password"))
		for _, why := range []error{
			refused, fmt.Errorf("broker: %w", refused),
			&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, tls.AlertError(42),
			tls.RecordHeaderError{},
		} {
			if began, losses, err := keep(t, time.Minute, func(int, func()) error { return why }); err == nil || len(began) != 1 || losses != 0 {
				t.Errorf("%v: %d attempts, %v", why, len(began), err)
			}
			if began, _, err := keep(t, time.Minute, func(n int, up func()) error {
				if n == 1 {
					up()
				}
				return why
			}); err != nil || len(began) < 30 {
				t.Errorf("%v after a connection: %d attempts, %v", why, len(began), err)
			}
			if began, _, err := keep(t, time.Minute, func(n int, _ func()) error {
				if n == 1 {
					return errors.New("connection refused")
				}
				return why
			}); err != nil || len(began) < 30 {
				t.Errorf("%v after a failure: %d attempts, %v", why, len(began), err)
			}
		}
		if link.IsRefused(errors.New("x")) || link.IsRefused(nil) {
			t.Error("refused by nobody")
		}
	})
}

func TestCircle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		down := errors.New("connection refused")
		wrong := link.Refused(errors.New("wrong password"))
		brokers := []broker.Broker{{Address: "a", Retries: 2, ConnectDelay: 400 * time.Millisecond}, {Address: "b"}, {Address: "c", Retries: 1}}
		state := map[string]error{"a": down, "b": down, "c": nil}
		c := link.NewCircle(brokers)
		connect := func(ctx context.Context) (asked string, said []string, err error) {
			err = c.Connect(ctx, func(_ context.Context, b broker.Broker) error {
				asked += b.Address
				return state[b.Address]
			}, func(err error) { said = append(said, err.Error()) })
			return asked, said, err
		}
		began := time.Now()
		if asked, said, err := connect(t.Context()); err != nil || asked != "aaabc" || len(said) != 4 {
			t.Errorf("asked %s, %q, %v", asked, said, err)
		}
		if took := time.Since(began); took < 600*time.Millisecond || took > time.Second {
			t.Errorf("two delays of about 400ms took %v", took)
		}
		// The one that was connected last is asked first.
		state = map[string]error{"a": wrong, "b": down, "c": down}
		asked, said, err := connect(t.Context())
		if asked != "ccab" || !link.IsRefused(err) || err.Error() != "broker a: wrong password" {
			t.Errorf("asked %s, %q, %v", asked, said, err)
		}
		if want := []string{"broker c: connection refused", "broker c: connection refused", "broker b: connection refused"}; !reflect.DeepEqual(said, want) {
			t.Errorf("said %q, want %q", said, want)
		}
		state["c"] = nil
		if asked, _, err := connect(t.Context()); err != nil || asked != "c" {
			t.Errorf("asked %s, %v", asked, err)
		}
		state = map[string]error{"a": down, "b": down, "c": down}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if asked, _, err := connect(ctx); !errors.Is(err, context.DeadlineExceeded) || asked != "cca" {
			t.Errorf("asked %s, %v", asked, err)
		}
	})
}

// A long delay of the URL is shortened: who is back is found within seconds.
func TestCircleDelay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := link.NewCircle([]broker.Broker{{Address: "a", Retries: 10, ConnectDelay: time.Hour}})
		began := time.Now()
		_ = c.Connect(t.Context(), func(context.Context, broker.Broker) error { return errors.New("x") }, func(error) {})
		if took := time.Since(began); took > 10*5*link.MaxPause/4 {
			t.Errorf("ten delays took %v", took)
		}
	})
}

func TestAt(t *testing.T) {
	address := realserver.FreeAddress(t)
	_, err := net.Dial("tcp", address)
	if got, want := link.At(address, err).Error(), "broker "+address+": connect: connection refused"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
