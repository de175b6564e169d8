package trafficmanager

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/limiter/memory"
	"github.com/weir-project/weir/policy"
)

// A sharingWorld is a manager that shares its counters.
type sharingWorld struct {
	*world
	sharer *limiter.Sharer
}

func newSharing(t *testing.T, n int, d policy.Definition) (*memory.Store, []*sharingWorld) {
	t.Helper()
	store := memory.New(memory.Options{ID: 1})
	var all []*sharingWorld
	for i := range n {
		l := limiter.New(limiter.Options{Sharing: limiter.Records})
		w := &sharingWorld{world: &world{t: t, topic: &topic{}}}
		m, err := New(Options{Limiter: l, Issuer: fmt.Sprint("tm-", i), ID: uint64(i + 1), Publisher: w.topic, Shares: "memory"})
		if err != nil {
			t.Fatal(err)
		}
		w.Manager = m
		w.sharer = limiter.NewSharer(l, store, limiter.SharerOptions{Node: uint64(i + 1), Answered: m.Answered, Lanes: 1})
		m.Apply(t0, compile(t, d))
		all = append(all, w)
	}
	return store, all
}

// share has each manager tell what it has and hear of the others, twice.
func share(store *memory.Store, at time.Duration, all ...*sharingWorld) {
	for range 2 {
		for _, w := range all {
			now := t0.Add(at)
			if b := w.sharer.Next(0, now); b != nil {
				store.Apply(now.UnixNano(), b)
				w.sharer.Done(0, now, b, nil)
			}
			at += 20 * time.Millisecond
		}
	}
}

// wantSomebody wants one line of one or more of the managers, and nothing else.
func wantSomebody(t *testing.T, all []*sharingWorld, want string) {
	t.Helper()
	var said []string
	for _, w := range all {
		said = append(said, w.topic.take()...)
	}
	if said = slices.Compact(said); !slices.Equal(said, []string{want}) {
		t.Errorf("said %q, want %q", said, want)
	}
}

// TestShared has two managers, of which each counts a part of the calls: together
// they hold the limit, and not each a limit of its own (W5, W27). Whoever hears what
// spends it decides, also if no event comes any more.
func TestShared(t *testing.T) {
	store, w := newSharing(t, 2, gold(perMinute(10)))
	w[0].send(time.Second, nil, call(time.Second, 4))
	w[1].send(time.Second, nil, call(time.Second, 5))
	share(store, time.Second, w...)
	w[0].wantSaid()
	w[1].wantSaid()

	w[0].send(2*time.Second, nil, call(2*time.Second, 1))
	share(store, 2*time.Second, w...)
	wantSomebody(t, w, goldKey+" throttled until 1m0s")

	// In the next window both count a call at a time, and neither sees ten.
	w[0].send(61*time.Second, nil, call(61*time.Second, 5))
	w[1].send(61*time.Second, nil, call(61*time.Second, 5))
	w[0].wantSaid()
	w[1].wantSaid()
	share(store, 61*time.Second, w...)
	wantSomebody(t, w, goldKey+" throttled until 2m0s")
}

// TestSharedTakenBack has one manager's calls given back: the key is let go.
func TestSharedTakenBack(t *testing.T) {
	store, w := newSharing(t, 2, gold(perMinute(10)))
	w[0].send(time.Second, nil, call(time.Second, 6))
	w[1].send(time.Second, nil, call(time.Second, 4))
	share(store, time.Second, w...)
	wantSomebody(t, w, goldKey+" throttled until 1m0s")
	w[0].send(2*time.Second, nil, call(2*time.Second, -2))
	share(store, 2*time.Second, w...)
	for range asks { // whoever throttled the key asks again, sooner or later
		for _, one := range w {
			one.AskAgain(t0.Add(3*time.Second), one.sharer.Ask)
		}
	}
	share(store, 3*time.Second, w...)
	wantSomebody(t, w, goldKey+" free until 1m0s")
}

// TestSharedAlone has a manager that is gone: what it counted still counts until the
// window ends, and not longer (W7).
func TestSharedAlone(t *testing.T) {
	store, w := newSharing(t, 2, gold(perMinute(10)))
	w[0].send(time.Second, nil, call(time.Second, 9))
	share(store, time.Second, w[0])
	w[1].send(2*time.Second, nil, call(2*time.Second, 1))
	share(store, 2*time.Second, w[1])
	w[1].wantSaid(goldKey + " throttled until 1m0s")
	w[1].send(60*time.Second, nil, call(60*time.Second, 9))
	share(store, 60*time.Second, w[1])
	w[1].wantSaid()
}

// TestSubjects bounds what is known of keys, in number and in time.
func TestSubjects(t *testing.T) {
	var s subjects
	s.init(forceShards)
	known := func() (n int) {
		for k := range limiter.Key(10 * forceShards) {
			if one, ok := s.get(k); ok {
				if n++; one.Text != fmt.Sprint(k) {
					t.Errorf("of key %d it is known that it is %q", k, one.Text)
				}
			}
		}
		return n
	}
	for k := range limiter.Key(10 * forceShards) {
		s.put(t0, Subject{Key: k, Text: fmt.Sprint(k)})
	}
	if n := known(); n != forceShards {
		t.Errorf("%d keys are known, want %d", n, forceShards)
	}
	for i := range 4 { // key 0 is counted all the time, the others no longer
		s.touch(t0.Add(time.Duration(i)*subjectLife), 0, &policy.Source{})
	}
	for k := range limiter.Key(forceShards) {
		s.touch(t0.Add(4*subjectLife), k, &policy.Source{})
	}
	if n := known(); n != 1 {
		t.Errorf("%d keys are known after a while, want the one that is in use", n)
	}
}
