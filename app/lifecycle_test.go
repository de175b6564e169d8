package app

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A journal notes what happened, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) note(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

// got returns what has happened so far.
func (j *journal) got() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines)
}

// service returns a service that needs a while to stop and then returns err.
func (j *journal) service(name string, while time.Duration, err error) service {
	return service{name: name, grace: time.Second, run: func(ctx context.Context) error {
		<-ctx.Done()
		time.Sleep(while)
		j.note(name)
		return err
	}}
}

func TestServeStopsLastToFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var j journal
		done := make(chan error)
		go func() {
			done <- serve(ctx, []service{
				j.service("counters", 0, nil),
				j.service("management", 300*time.Millisecond, nil),
				j.service("door", 900*time.Millisecond, nil),
			})
		}()
		synctest.Wait()
		if got := j.got(); len(got) != 0 {
			t.Fatalf("stopped before it was told to: %v", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("got %v, want no error", err)
		}
		if want := []string{"door", "management", "counters"}; !slices.Equal(j.got(), want) {
			t.Errorf("stopped in the order %v, want %v", j.got(), want)
		}
	})
}

func TestServeEndsWithTheFirstThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		broken := errors.New("address in use")
		err := serve(t.Context(), []service{
			j.service("counters", 0, nil),
			{name: "door", grace: time.Second, run: func(context.Context) error { return broken }},
			j.service("watch", 0, nil),
		})
		if !errors.Is(err, broken) {
			t.Errorf("got %v, want %v", err, broken)
		}
		if want := []string{"watch", "counters"}; !slices.Equal(j.got(), want) {
			t.Errorf("stopped in the order %v, want %v", j.got(), want)
		}
	})
}

func TestServeJoinsErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var j journal
		err := serve(ctx, []service{
			j.service("a", 0, errors.New("first")),
			j.service("b", 2*time.Second, nil),
			j.service("c", 0, context.Canceled),
			j.service("d", 0, errors.New("last")),
		})
		want := "d: last\nb: still not stopped after 1s\na: first"
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		time.Sleep(5 * time.Second) // b ends after all
		if got := j.got(); !slices.Contains(got, "b") {
			t.Errorf("b never ended: %v", got)
		}
	})
}
