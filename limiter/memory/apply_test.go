package memory_test

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/limiter/memory"
)

const (
	second = int64(time.Second)
	begin  = 1_000_000 * second // of the windows of tests
	end    = begin + 60*second
)

// ask returns a batch of one assertion, which wants units of a window.
func ask(node, seq uint64, register, want int64) *limiter.Batch {
	return &limiter.Batch{Node: node, Assertions: []limiter.Assertion{{
		Seq: seq, Register: register, Want: want, Limit: 100, Begin: begin, End: end, Keep: 30 * second,
	}}}
}

// opened returns a store that grants at begin.
func opened() *memory.Store {
	s := memory.New(memory.Options{ID: 1})
	s.Apply(begin-3*second, &limiter.Batch{Node: 1})
	return s
}

func TestEpochs(t *testing.T) {
	s := memory.New(memory.Options{ID: 1})
	var last uint64
	for _, step := range []struct {
		name   string
		do     func()
		after  time.Duration
		news   bool
		fenced bool
	}{
		{"at first", func() {}, 0, true, true},
		{"within the fence", func() {}, limiter.Fence - 1, false, true},
		{"at its end", func() {}, limiter.Fence, false, false},
		{"the same primary", func() { s.NewEpoch(1) }, 10 * time.Second, false, false},
		{"another primary", func() { s.NewEpoch(2) }, 11 * time.Second, true, true},
		{"after its fence", func() {}, 13 * time.Second, false, false},
		{"the first again", func() { s.NewEpoch(1) }, 14 * time.Second, true, true},
		{"a clock that was set back", func() {}, 3 * time.Second, false, true},
		{"the fence that began again", func() {}, 5*time.Second - 1, false, true},
		{"its end", func() {}, 5 * time.Second, false, false},
		{"no data", s.Clear, 20 * time.Second, true, true},
		{"no data again", s.Clear, 20 * time.Second, true, true},
	} {
		step.do()
		b := ask(7, 1, 0, 0)
		s.Apply(begin+int64(step.after), b)
		if b.Epoch == 0 || (b.Epoch != last) != step.news || b.Fenced != step.fenced {
			t.Errorf("%s: epoch %d after %d, fenced %v; want a new one: %v, fenced: %v", step.name, b.Epoch, last, b.Fenced, step.news, step.fenced)
		}
		last = b.Epoch
	}
	for range 2 {
		c := memory.New(memory.Options{})
		b := ask(7, 1, 0, 0)
		c.Apply(begin, b)
		if b.Epoch == last {
			t.Error("another store has the same epoch")
		}
		last = b.Epoch
	}
}

func TestDurable(t *testing.T) {
	s := opened()
	yes, no := func() bool { return true }, func() bool { return false }
	seq := uint64(0)
	for _, step := range []struct {
		name string
		do   func()
		want bool
	}{
		{"there never was a replica", func() {}, true},
		{"one that is behind", func() { s.SetReplica(no) }, false},
		{"one that has it all", func() { s.SetReplica(yes) }, true},
		{"the replica is away", func() { s.SetReplica(nil) }, false},
		{"still away", func() {}, false},
		{"it is back", func() { s.SetReplica(yes) }, true},
		{"a new primary, which has no replica", func() { s.SetReplica(nil); s.NewEpoch(2) }, true},
		{"a new primary, and its replica is behind", func() { s.SetReplica(no); s.NewEpoch(3) }, false},
	} {
		step.do()
		// A batch that grants nothing needs no replica.
		seq++
		b := ask(1, seq, 0, 0)
		s.Apply(begin, b)
		if !b.Durable {
			t.Errorf("%s: nothing was granted, and that is not durable", step.name)
		}
		seq++
		b = ask(1, seq, 0, 1)
		s.Apply(begin+2*second, b)
		if b.Assertions[0].Granted != 1 || b.Durable != step.want {
			t.Errorf("%s: granted %d, durable %v, want %v", step.name, b.Assertions[0].Granted, b.Durable, step.want)
		}
	}
}

// TestClone has a replica that gets what its primary gets, misses the last of it, and
// takes over.
func TestClone(t *testing.T) {
	s := opened()
	s.SetReplica(func() bool { return true })
	bucket := func(seq uint64, register int64) *limiter.Batch {
		return &limiter.Batch{Node: 1, Beat: true, Assertions: []limiter.Assertion{{
			Counter: limiter.Counter{1}, Seq: seq, Register: register, Missing: register, Rate: 1, Period: second, Limit: 100,
		}}}
	}
	s.Apply(begin, ask(1, 1, 10, 5))
	s.Apply(begin, bucket(1, 50))
	replica := s.Clone()
	for i, b := range []*limiter.Batch{ask(2, 1, 20, 5), bucket(2, 60), ask(1, 2, 15, 50)} {
		twin := *b
		twin.Assertions = append([]limiter.Assertion(nil), b.Assertions...)
		now := begin + int64(i)*second
		s.Apply(now, b)
		replica.Apply(now, &twin)
		if twin.Durable = true; !reflect.DeepEqual(b, &twin) {
			t.Fatalf("the replica answered %+v, the primary %+v", twin, b)
		}
	}
	s.Apply(begin+5*second, ask(1, 3, 99, 0)) // the replica misses this
	if sum, registers, ok := replica.Window(limiter.Counter{}, end); sum != 55 || !ok || !maps.Equal(registers, map[uint64]int64{1: 30, 2: 25}) {
		t.Errorf("the replica has %d, %v, %v, want 55 of two nodes", sum, registers, ok)
	}
	if sum, registers, ok := replica.Bucket(limiter.Counter{1}); sum != 59 || !ok || !maps.Equal(registers, map[uint64]int64{1: 60}) {
		t.Errorf("the replica has %d, %v, %v, want 59 missing and one register", sum, registers, ok)
	}
	replica.NewEpoch(2)
	b := ask(1, 3, 99, 1)
	replica.Apply(begin+6*second, b)
	if a := b.Assertions[0]; !b.Fenced || a.Status != limiter.Applied || a.Sum != 124 || a.Granted != 0 {
		t.Errorf("the new primary answered %+v, fenced %v, want what was lost applied and nothing granted", a, b.Fenced)
	}
	s.Clear()
	if replica.Len() != 2 || s.Len() != 0 {
		t.Errorf("%d and %d records, want 0 and 2", s.Len(), replica.Len())
	}
}

// TestWindowOfNothing reads what is not there.
func TestWindowOfNothing(t *testing.T) {
	s := opened()
	s.Apply(begin, ask(1, 0, 5, 5))
	if _, _, ok := s.Window(limiter.Counter{}, end); ok || s.Len() != 0 {
		t.Error("a question made a record")
	}
	if _, _, ok := s.Bucket(limiter.Counter{}); ok {
		t.Error("there is a bucket")
	}
}

// TestExpiry finds when records are forgotten, by asking with a number that is
// stale only as long as the record is there.
func TestExpiry(t *testing.T) {
	for _, row := range []struct {
		name   string
		a      limiter.Assertion
		before int64 // at begin; it is forgotten after so many nanoseconds
	}{
		{"a bucket, full a minute ago", limiter.Assertion{Missing: 30, Rate: 1, Period: second}, 90 * second},
		{"a bucket, in which rights were held", limiter.Assertion{Register: 30, Missing: 30, Held: 10, Lease: 5 * second, Rate: 1, Period: second}, 95 * second},
		{"a full bucket", limiter.Assertion{Rate: 1, Period: second}, 60 * second},
		{"a slow one", limiter.Assertion{Missing: 2, Rate: 15, Period: 3600 * second}, 540 * second},
	} {
		for _, early := range []int64{0, 1} {
			s := opened()
			row.a.Seq = 1
			b := &limiter.Batch{Node: 1, Assertions: []limiter.Assertion{row.a}}
			s.Apply(begin, b)
			s.Apply(begin+row.before-early, b)
			if got := b.Assertions[0].Status == limiter.Stale; got != (early == 1) {
				t.Errorf("%s: known %d ns before its end: %v", row.name, early, got)
			}
		}
	}
	for _, early := range []int64{0, 1} {
		s := opened()
		s.Apply(begin, ask(1, 1, 5, 0))
		s.Sweep(end + 30*second - early)
		if got := s.Len() == 1; got != (early == 1) {
			t.Errorf("a window is kept %d ns before its end: %v", early, got)
		}
	}
}

// TestPastIsForgotten has windows count that have not been forgotten, and no others.
func TestPastIsForgotten(t *testing.T) {
	s := opened()
	s.Apply(begin, ask(1, 1, 5, 0))
	next := ask(1, 1, 1, 0)
	next.Assertions[0].Begin, next.Assertions[0].End, next.Assertions[0].Before = end, end+60*second, 1<<40
	next.Assertions[0].AskPast = true
	for _, row := range []struct{ at, want int64 }{{end + 30*second - 1, 5}, {end + 30*second, 0}} {
		next.Assertions[0].Seq++
		s.Apply(row.at, next)
		if a := next.Assertions[0]; a.Past != row.want || a.Sum != 1 {
			t.Errorf("at %d: past %d, sum %d, want %d, 1", row.at, a.Past, a.Sum, row.want)
		}
	}
}

// TestMemory asserts new counters for a long time. What is over is forgotten as
// fast as there is more.
func TestMemory(t *testing.T) {
	s := opened()
	const perSecond, kept = 10, 90 // of windows that are kept for 90 s in all
	for i := range int64(100_000) {
		now := begin + i*second/perSecond
		b := &limiter.Batch{Node: 1, Assertions: []limiter.Assertion{{
			Counter: limiter.Counter{byte(i), byte(i >> 8), byte(i >> 16)}, Seq: 1, Register: i,
			Begin: now, End: now + 60*second, Keep: 30 * second,
		}}}
		s.Apply(now, b)
		if n := s.Len(); n > 2*kept*perSecond {
			t.Fatalf("after %d counters %d are held, want not many more than %d", i, n, kept*perSecond)
		}
	}
	for range 2 * kept * perSecond {
		s.Apply(1<<62, &limiter.Batch{Node: 1})
	}
	if n := s.Len(); n != 0 {
		t.Errorf("%d records are held long after, want none", n)
	}
}

func TestAllocs(t *testing.T) {
	s := opened()
	b := ask(1, 1, 0, 3)
	b.Beat = true
	b.Assertions = append(b.Assertions, limiter.Assertion{
		Counter: limiter.Counter{1}, Seq: 1, Want: 3, Limit: 100, Rate: 1000, Period: second, Lease: second,
	})
	now := begin
	if n := testing.AllocsPerRun(1000, func() {
		now += second / 100
		b.Assertions[0].Seq++
		b.Assertions[1].Seq++
		s.Apply(now, b)
	}); n != 0 {
		t.Errorf("%v allocations a batch, want none", n)
	}
}

// TestNoMoreThanTheRate refills a bucket at moments between which a unit and a half flow
// in: it may get less than the rate then, and never more.
func TestNoMoreThanTheRate(t *testing.T) {
	s := opened()
	a := limiter.Assertion{Missing: 1000, Rate: 3, Period: 4}
	for i := range int64(100) {
		a.Seq++
		b := &limiter.Batch{Node: 1, Assertions: []limiter.Assertion{a}}
		s.Apply(begin+2*i, b)
		got, least, most := 1000-b.Assertions[0].Sum, i, 2*i*3/4
		if got < least || got > most {
			t.Fatalf("%d units flowed in in %d ns, want %d to %d", got, 2*i, least, most)
		}
	}
}

func TestShare(t *testing.T) {
	at := time.Unix(5, 6)
	s := memory.New(memory.Options{Now: func() time.Time { return at }})
	b := &limiter.Batch{Node: 1}
	if err := s.Share(t.Context(), b); err != nil || b.Now != at.UnixNano() {
		t.Errorf("answered time %d, error %v, want %d", b.Now, err, at.UnixNano())
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("no more"))
	err := s.Share(ctx, ask(1, 1, 5, 0))
	if !errors.Is(err, context.Canceled) || s.Len() != 0 {
		t.Errorf("got error %v and %d records, want it canceled and none", err, s.Len())
	}
	began := time.Now()
	if err := memory.New(memory.Options{}).Share(t.Context(), b); err != nil || b.Now < began.UnixNano() || b.Now > time.Now().UnixNano() {
		t.Errorf("answered time %d, error %v, want that of the real clock", b.Now, err)
	}
}
