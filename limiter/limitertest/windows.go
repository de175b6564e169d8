package limitertest

import (
	"fmt"
	"time"

	"github.com/weir-project/weir/limiter"
)

const (
	applied = limiter.Applied
	stale   = limiter.Stale
	late    = limiter.Late
	early   = limiter.Early
)

// A windowCase is what nodes assert of the windows of one counter, each an hour
// long. Window 0 is the one that is now.
type windowCase struct {
	name  string
	steps []windowStep
}

type windowStep struct {
	node, window, seq     int64
	register, want, limit int64
	before                int
	status                limiter.Status
	sum, past, granted    int64
}

func testWindows(b *bench) {
	b.unfenced()
	for _, c := range windowCases {
		b.run(c.name, func() { b.windowCase(c) })
	}
	b.run("a short one ends", b.testShortWindow)
	b.run("past, as it ends", b.testSliding)
}

// windowCases are tested in the middle of window 0. Windows are kept for three hours.
var windowCases = []windowCase{
	{"registers replace, never add", []windowStep{
		{1, 0, 1, 5, 0, 100, 0, applied, 5, 0, 0},
		{1, 0, 2, 7, 0, 100, 0, applied, 7, 0, 0},
		{2, 0, 1, 3, 0, 100, 0, applied, 10, 0, 0},
		{1, 0, 3, 8, 0, 100, 0, applied, 11, 0, 0},
	}},
	{"a register may become less", []windowStep{
		{1, 0, 1, 50, 0, 100, 0, applied, 50, 0, 0},
		{2, 0, 1, 10, 0, 100, 0, applied, 60, 0, 0},
		{1, 0, 2, 20, 0, 100, 0, applied, 30, 0, 0},
		{1, 0, 3, 0, 0, 100, 0, applied, 10, 0, 0},
	}},
	{"repeated, late, and out of order", []windowStep{
		{1, 0, 5, 5, 0, 100, 0, applied, 5, 0, 0},
		{1, 0, 5, 9, 9, 100, 0, stale, 5, 0, 0},
		{1, 0, 4, 9, 9, 100, 0, stale, 5, 0, 0},
		{1, 0, 9, 6, 0, 100, 0, applied, 6, 0, 0},
		{1, 0, 6, 5, 0, 100, 0, stale, 6, 0, 0},
		{2, 0, 6, 5, 0, 100, 0, applied, 11, 0, 0}, // numbers are those of a node
		{1, -1, 1, 4, 0, 100, 0, applied, 4, 0, 0}, // and of a window
	}},
	{"numbers and nodes that a double does not tell apart", []windowStep{
		{-1, 0, 1<<53 - 2, 1, 0, 100, 0, applied, 1, 0, 0},
		{-1, 0, 1<<53 - 1, 3, 0, 100, 0, applied, 3, 0, 0},
		{-1, 0, 1<<53 - 2, 2, 0, 100, 0, stale, 3, 0, 0},
		{-2, 0, 1, 5, 0, 100, 0, applied, 8, 0, 0},
		{1<<63 - 1, 0, 1, 5, 0, 100, 0, applied, 13, 0, 0},
		{-1 << 63, 0, 1, 5, 0, 100, 0, applied, 18, 0, 0},
		{-1, 0, 1 << 53, 4, 0, 100, 0, applied, 19, 0, 0}, // the largest number there is
		{-1, 0, 1<<53 - 1, 5, 0, 100, 0, stale, 19, 0, 0},
	}},
	{"asked only", []windowStep{
		{1, 0, 0, 9, 9, 100, 0, stale, 0, 0, 0},
		{1, 0, 1, 5, 0, 100, 0, applied, 5, 0, 0},
		{2, 0, 0, 9, 9, 100, 0, stale, 5, 0, 0},
		{1, 0, 0, 9, 9, 100, 0, stale, 5, 0, 0},
		{1, 0, 2, 6, 10, 100, 0, applied, 16, 0, 10}, // of one node still
	}},
	{"windows are apart", []windowStep{
		{1, 0, 1, 5, 0, 100, 0, applied, 5, 0, 0},
		{1, 1, 1, 6, 0, 100, 0, applied, 6, 0, 0},
		{1, -1, 1, 7, 0, 100, 0, applied, 7, 0, 0},
		{1, -1, 2, 8, 0, 100, 0, applied, 8, 0, 0},
		{2, 0, 1, 1, 0, 100, 0, applied, 6, 0, 0},
	}},
	{"early and late", []windowStep{
		{1, 2, 1, 5, 5, 100, 0, early, 0, 0, 0},
		{1, 1, 1, 5, 5, 100, 0, applied, 10, 0, 5},
		{1, -3, 1, 5, 5, 100, 0, applied, 5, 0, 0}, // it ended two and a half hours ago
		{1, -4, 1, 5, 5, 100, 0, late, 0, 0, 0},
		{1, 2, 0, 5, 5, 100, 0, early, 0, 0, 0}, // rather than stale
		{1, -4, 0, 5, 5, 100, 1, late, 0, 0, 0},
		{1, 9000, 1, 5, 5, 100, 1, early, 0, 0, 0},
	}},
	{"past windows", []windowStep{
		{1, -3, 1, 1000, 0, 100, 2, applied, 1000, 0, 0},
		{1, -2, 1, 200, 0, 100, 2, applied, 200, 1000, 0},
		{1, -1, 1, 30, 0, 100, 2, applied, 30, 1200, 0},
		{2, -1, 1, 30, 0, 100, 2, applied, 60, 1200, 0},
		{1, 0, 1, 4, 0, 100, 2, applied, 4, 260, 0},
		{1, 0, 2, 4, 0, 100, 2, applied, 4, 260, 0},
		{1, 0, 2, 4, 0, 100, 2, stale, 4, 260, 0},
		{1, 0, 0, 4, 0, 100, 2, stale, 4, 260, 0},
		{1, 1, 0, 0, 0, 100, 2, stale, 0, 64, 0},
		{1, 1, 1, 207, 0, 400, 2, applied, 207, 64, 0},
		{1, 0, 0, 0, 0, 400, 2, stale, 4, 267, 0}, // of the first and the one after, the larger
		{1, 1, 2, 0, 0, 400, 2, applied, 0, 64, 0},
		{1, 0, 4, 4, 100, 400, 2, applied, 72, 260, 68}, // half of 136 that are left
		{1, 0, 5, 4, 100, 264, 2, applied, 4, 260, 0},
		{1, 0, 6, 4, 100, 265, 2, applied, 5, 260, 1},
		{2, -1, 2, 130, 0, 100, 2, applied, 160, 1200, 0}, // it has been over for long
		{1, 0, 7, 5, 0, 400, 2, applied, 5, 360, 0},
		{1, 1, 3, 1, 0, 400, 2, applied, 1, 165, 0},
	}},
	{"the past is one window", []windowStep{
		{1, -3, 1, 1000, 0, 100, 1, applied, 1000, 0, 0},
		{1, -2, 1, 200, 0, 100, 1, applied, 200, 1000, 0},
		{1, -1, 1, 30, 0, 100, 1, applied, 30, 200, 0},
		{3, -2, 0, 0, 0, 100, 1, stale, 200, 1000, 0},
		{2, -1, 1, 1970, 0, 100, 1, applied, 2000, 200, 0},
		{3, -2, 0, 0, 0, 100, 1, stale, 200, 2000, 0},
		{1, 0, 1, 4, 0, 100, 1, applied, 4, 2000, 0},
	}},
	{"the past is long, and little of it was used", []windowStep{
		{1, -3, 1, 1000, 0, 100, 31, applied, 1000, 0, 0},
		{1, 0, 0, 0, 0, 100, 31, stale, 0, 1000, 0},
		{1, 0, 1, 4, 0, 100, 31, applied, 4, 1000, 0},
		{2, -3, 1, 1, 0, 100, 31, applied, 1001, 0, 0},
		{1, 0, 2, 4, 0, 100, 31, applied, 4, 1001, 0},
		{2, 0, 1, 3, 0, 100, 31, applied, 7, 1001, 0},
	}},
	{"windows are told of in turn", []windowStep{
		{1, 1, 1, 5, 0, 100, 2, applied, 5, 0, 0},
		{1, 0, 1, 7, 0, 100, 2, applied, 7, 5, 0},
		{1, 1, 2, 5, 0, 100, 2, applied, 5, 7, 0},
		{1, 0, 2, 9, 0, 100, 2, applied, 9, 5, 0},
		{2, 1, 1, 2, 0, 100, 2, applied, 7, 9, 0},
		{1, -1, 1, 3, 0, 100, 2, applied, 3, 9, 0},
		{1, 1, 3, 5, 0, 100, 2, applied, 7, 12, 0},
		{1, 1, 4, 4, 0, 100, 2, applied, 6, 12, 0},
		{1, 0, 3, 9, 0, 100, 2, applied, 9, 9, 0},
		{2, 1, 2, 0, 0, 100, 2, applied, 4, 12, 0},
	}},
	{"grants", []windowStep{
		{1, 0, 1, 0, 1000, 100, 0, applied, 50, 0, 50}, // half of what is left
		{1, 0, 2, 50, 1000, 100, 0, applied, 75, 0, 25},
		{2, 0, 1, 0, 1000, 100, 0, applied, 81, 0, 6}, // 25 are left: a quarter of it
		{3, 0, 1, 0, 2, 100, 0, applied, 83, 0, 2},
		{2, 0, 2, 6, 1000, 100, 0, applied, 85, 0, 2},
		{1, 0, 3, 75, 0, 100, 0, applied, 85, 0, 0},
		{1, 0, 4, 75, 0, 0, 0, applied, 85, 0, 0},
	}},
	{"the last units", []windowStep{
		{1, 0, 1, 96, 9, 100, 0, applied, 98, 0, 2},
		{2, 0, 1, 0, 9, 100, 0, applied, 99, 0, 1},
		{3, 0, 1, 0, 9, 100, 0, applied, 100, 0, 1},
		{3, 0, 2, 1, 9, 100, 0, applied, 100, 0, 0},
		{2, 0, 2, 0, 0, 100, 0, applied, 99, 0, 0}, // given back
		{3, 0, 3, 1, 9, 100, 0, applied, 100, 0, 1},
	}},
	{"over the limit", []windowStep{
		{1, 0, 1, 150, 9, 100, 0, applied, 150, 0, 0},
		{2, 0, 1, 0, 9, 100, 0, applied, 150, 0, 0},
		{1, 0, 2, 100, 9, 100, 0, applied, 100, 0, 0},
		{1, 0, 3, 100, 9, 101, 0, applied, 101, 0, 1}, // a higher limit counts at once
		{1, 0, 4, 101, 9, 0, 0, applied, 101, 0, 0},
	}},
	{"a grant whose answer was lost comes back", []windowStep{
		{1, 0, 1, 10, 20, 100, 0, applied, 30, 0, 20},
		{1, 0, 1, 10, 20, 100, 0, stale, 30, 0, 0},
		{1, 0, 2, 12, 0, 100, 0, applied, 12, 0, 0},
	}},
	{"of windows that are over there are no grants", []windowStep{
		{1, -1, 1, 10, 20, 100, 0, applied, 10, 0, 0},
		{1, 0, 1, 10, 20, 100, 0, applied, 30, 0, 20},
		{1, 1, 1, 10, 20, 100, 0, applied, 30, 0, 20},
	}},
	{"large numbers", []windowStep{
		{1, 0, 1, most - 9, 0, most, 2, applied, most - 9, 0, 0},
		{2, 0, 1, 0, 99, most, 2, applied, most - 7, 0, 2},
		{3, 0, 1, 4, 0, most, 2, applied, most - 3, 0, 0},
		{3, 0, 2, 9, 99, most, 2, applied, most, 0, 0}, // as far as there is room
		{3, 0, 3, 0, 0, most, 2, applied, most - 7, 0, 0},
		{1, 0, 2, 1, 0, most, 2, applied, 3, 0, 0},
		{2, 0, 2, 0, most, most, 2, applied, 1 + 1501199875790165, 0, 1501199875790165},
		{2, 0, 3, 1<<63 - 1, 1<<63 - 1, 1<<63 - 1, 2, applied, most, 0, 0},
		{3, -1, 1, most, 0, 0, 2, applied, most, most, 0},
		{3, -2, 1, 1<<63 - 1, 0, 0, 2, applied, most, most, 0},
		{3, 0, 0, 0, 0, 0, 2, stale, most, most, 0},
	}},
	{"numbers below zero", []windowStep{
		{1, 0, 1, -5, -5, 100, 0, applied, 0, 0, 0},
		{1, 0, 2, 5, 5, -100, 0, applied, 5, 0, 0},
		{1, 0, 3, -1 << 63, -1 << 63, -1 << 63, 0, applied, 0, 0, 0},
	}},
}

func (b *bench) windowCase(c windowCase) {
	counter := b.name()
	base := b.time() - hour/2 + 1 // stores must not need whole microseconds
	for i, s := range c.steps {
		begin := base + s.window*hour
		got := b.one(uint64(s.node), limiter.Assertion{
			Counter: counter, Seq: uint64(s.seq), Register: s.register, Want: s.want, Limit: s.limit,
			Begin: begin, End: begin + hour, Keep: 3 * hour, Before: s.before, AskPast: true,
		})
		if got.Status != s.status || got.Sum != s.sum || got.Past != s.past || got.Granted != s.granted {
			b.t.Fatalf("step %d: answered status %d, sum %d, past %d, granted %d; want %d, %d, %d, %d",
				i, got.Status, got.Sum, got.Past, got.Granted, s.status, s.sum, s.past, s.granted)
		}
	}
}

// testShortWindow goes through all that a window can be.
func (b *bench) testShortWindow() {
	const length, keep = 300 * int64(time.Millisecond), 500 * int64(time.Millisecond)
	counter := b.name()
	begin := b.time() + 2*length
	seq := uint64(0)
	for _, step := range []struct {
		name    string
		at      int64 // from begin on
		most    int64 // it is too late to tell then
		status  limiter.Status
		granted int64
	}{
		{"before the one before", -2 * length, -length, early, 0},
		{"in the one before", -length, 0, applied, 5},
		{"in it", 0, length, applied, 5},
		{"after it", length, length + keep, applied, 0},
		{"long after it", length + keep, 1 << 62, late, 0},
	} {
		b.wait(begin + step.at)
		seq++
		a := b.one(1, limiter.Assertion{
			Counter: counter, Seq: seq, Register: 5, Want: 5, Limit: 100, Begin: begin, End: begin + length, Keep: keep,
		})
		if b.now >= begin+step.most {
			continue // the machine was busy; bench.share compared the answer nevertheless
		}
		if a.Status != step.status || a.Granted != step.granted {
			b.t.Fatalf("%s: answered %+v, want status %d, %d granted", step.name, a, step.status, step.granted)
		}
	}
}

// testSliding spends in short windows and looks on as they leave the long one.
func (b *bench) testSliding() {
	const length, before = 100 * int64(time.Millisecond), 4
	counter := b.name()
	base := b.time()
	spent := make(map[int64]int64)
	for range 12 {
		i := (b.time() - base) / length
		end := base + (i+1)*length
		spent[i]++
		a := b.one(1, limiter.Assertion{
			Counter: counter, Seq: 1 + uint64(spent[i]), Register: spent[i] + i, Limit: 100,
			Begin: end - length, End: end, Keep: hour, Before: before, AskPast: true,
		})
		var want int64
		for k := i - before; k < i; k++ {
			if spent[k] > 0 {
				want += spent[k] + k
			}
		}
		if a.Sum != spent[i]+i || a.Past != want {
			b.t.Fatalf("%s: sum %d, past %d, want %d, %d", fmt.Sprint(spent), a.Sum, a.Past, spent[i]+i, want)
		}
		b.wait(b.now + length/2)
	}
}
