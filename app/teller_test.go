package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/broker"
)

// A fakeBroker takes messages unless it is away.
type fakeBroker struct {
	mu     sync.Mutex
	away   error
	fails  int // this many messages more, although it is there
	hangs  bool
	texts  []string
	secret broker.Secret
}

func (f *fakeBroker) Publish(ctx context.Context, _ string, message []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.away != nil:
		return f.away
	case f.hangs:
		<-ctx.Done()
		return ctx.Err()
	case f.fails > 0:
		f.fails--
		return errors.New("failed")
	}
	d, err := broker.ParseDecision(f.secret, message)
	if err != nil {
		return err
	}
	f.texts = append(f.texts, d.Text)
	return nil
}

func (f *fakeBroker) Subscribe(context.Context, string, broker.Subscriber) error { return nil }

func (f *fakeBroker) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.away
}

func (f *fakeBroker) set(away error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = away
}

func (f *fakeBroker) got() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.texts)
}

func decision(text string) *weir.Decision {
	return &weir.Decision{Text: text, Policy: "Gold", Group: -1, Throttled: true, Ends: time.Now().Add(time.Minute), Issuer: "tm-1", Seq: 1, Issued: time.Now()}
}

// tell runs a teller to f within a bubble.
func tell(t *testing.T, f *fakeBroker, size int) (tl *teller, log *logbook, stop func()) {
	t.Helper()
	f.secret = broker.NewSecret([]byte("0123456789abcdef"))
	log = &logbook{}
	tl, err := newTeller(&carrier{Transport: f, name: "fake", err: f.err}, f.secret, size, logTo(log))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- tl.run(ctx) }()
	return tl, log, func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("ended with %v", err)
		}
	}
}

func TestTellerTellsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeBroker{}
		tl, log, stop := tell(t, f, 100)
		var want []string
		for i := range 50 {
			tl.push(message{decision: decision(fmt.Sprint(i))})
			want = append(want, fmt.Sprint(i))
		}
		synctest.Wait()
		if got := f.got(); !slices.Equal(got, want) {
			t.Errorf("got %v", got)
		}
		// What is given last is told before it ends.
		tl.push(message{decision: decision("last")})
		stop()
		if got := f.got(); got[len(got)-1] != "last" || tl.told.Load() != 51 || log.String() != "" {
			t.Errorf("got %v, told %d, logged %s", got, tl.told.Load(), log)
		}
	})
}

func TestTellerTellsAgainWhatIsInForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeBroker{}
		tl, log, stop := tell(t, f, 4)
		tl.again = func() {
			for _, text := range []string{"in force", "as well"} {
				tl.push(message{decision: decision(text)})
			}
		}
		synctest.Wait()
		f.set(errors.New("connection refused"))
		for i := range 10 {
			tl.push(message{decision: decision(fmt.Sprint(i))})
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		if got := f.got(); len(got) > 0 {
			t.Errorf("told %v while the broker was away", got)
		}
		f.set(nil)
		time.Sleep(time.Second)
		if got := f.got(); !slices.Equal(got, []string{"in force", "as well"}) {
			t.Errorf("told %v once it was back", got)
		}
		if log.count("topic is away") != 1 || log.count("topic is there") != 1 || tl.dropped.Load() != 5 {
			t.Errorf("dropped %d, logged %s", tl.dropped.Load(), log)
		}
		stop()
	})
}

// TestTellerSaysThatABrokerIsAway shows the line of somebody who starts without a
// broker, also before there is anything to tell.
func TestTellerSaysThatABrokerIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeBroker{away: errors.New("connection refused")}
		_, log, stop := tell(t, f, 4)
		time.Sleep(5 * time.Minute)
		if log.count("\n") != 1 || log.count("connection refused") != 1 {
			t.Errorf("logged %s", log)
		}
		stop()
	})
}

func TestTellerOutlivesFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeBroker{fails: 3}
		tl, log, stop := tell(t, f, 10)
		for i := range 5 {
			tl.push(message{decision: decision(fmt.Sprint(i))})
		}
		synctest.Wait()
		if got := f.got(); !slices.Equal(got, []string{"3", "4"}) || tl.failed.Load() != 3 || log.count("\n") != 1 {
			t.Errorf("got %v, failed %d, logged %s", got, tl.failed.Load(), log)
		}
		// One that hangs does not keep the process from ending.
		f.mu.Lock()
		f.hangs = true
		f.mu.Unlock()
		tl.push(message{decision: decision("hangs")})
		began := time.Now()
		stop()
		if took := time.Since(began); took > tellTimeout+lastWords {
			t.Errorf("took %v to end", took)
		}
	})
}

func TestTellersNeedASecret(t *testing.T) {
	if _, err := newTeller(&carrier{}, broker.Secret{}, 1, quietly); err == nil {
		t.Error("got no error")
	}
}
