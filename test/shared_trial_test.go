package test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter/redis/redistest"
)

// A trial is a shared fleet under load, and the faults that it was put to.
type trial struct {
	t      *testing.T
	f      *sharedFleet
	load   *sharedLoad
	phases []phase

	split     bool // there may be two primaries, with counts of their own
	mayLack   int  // of what passed, the store
	mayExceed int  // and the other way round
}

// A phase is a while in which something was wrong, or nothing.
type phase struct {
	name      string
	from, to  time.Time
	recovered time.Duration // how soon exact limits were granted again, once all was well
	paused    []int         // gateways that were stopped for a while
}

// newTrial starts the load of a fleet, and returns once rights are granted.
func newTrial(t *testing.T, f *sharedFleet) *trial {
	t.Helper()
	f.awaitSharing(t)
	tr := &trial{t: t, f: f, load: f.load(t)}
	until(t, "the store to grant rights", func() bool { return tr.load.passedAt("tick", time.Unix(0, 0)) })
	for g := range f.gateways {
		for range idleSpent / len(f.gateways) {
			until(t, "a call to pass", func() bool { return tr.load.call(t, g, f.index("idle")).status == 200 })
		}
	}
	tr.phase("healthy", func() { time.Sleep(2 * time.Second) })
	return tr
}

// phase notes when something was done.
func (tr *trial) phase(name string, do func()) *phase {
	tr.t.Helper()
	p := phase{name: name, from: time.Now()}
	do()
	p.to = time.Now()
	tr.phases = append(tr.phases, p)
	return &tr.phases[len(tr.phases)-1]
}

// granted returns once each of some gateways, or of all, has been granted rights since a
// time at which all was well again, and notes in the last phase how long that took. Rights to
// the window that is now, or to the next, may be older than that.
func (tr *trial) granted(since time.Time, gateways ...int) {
	tr.t.Helper()
	p := &tr.phases[len(tr.phases)-1]
	window := since.Truncate(time.Second).Add(2 * time.Second)
	until(tr.t, "exact limits to be granted after "+p.name, func() bool { return tr.load.passedAt("tick", window, gateways...) })
	p.recovered = time.Since(since)
	p.to = time.Now()
}

// judge stops the load and holds what came of it to what is promised whatever happens.
// The store is the one that has the counters at the end.
func (tr *trial) judge(store *redistest.Server) {
	tr.t.Helper()
	time.Sleep(time.Second) // of load, with all well
	tr.load.stop()
	tr.spendIdle()
	tr.judgeLimits()
	tr.judgePhases()
	tr.judgeStore(store)
	tr.judgeManagers()
}

// spendIdle spends, at one gateway after the other, what is left of the limit that nobody
// asked for since: what the others had spent of it must not be forgotten.
func (tr *trial) spendIdle() {
	tr.t.Helper()
	k := tr.f.index("idle")
	for g := range tr.f.gateways {
		if tr.load.away[g].Load() {
			continue
		}
		for refused := 0; refused < 3; {
			if tr.load.call(tr.t, g, k).status != 200 {
				refused++
			}
			time.Sleep(20 * time.Millisecond) // until it is told what the others have
		}
	}
	passed, most := len(tr.load.passes(tr.t, "idle")), idleLimit+len(tr.f.gateways)
	tr.t.Logf("bounded: %d passed of %d, most of them before all that", passed, idleLimit)
	if passed < idleLimit || passed > most {
		tr.t.Errorf("bounded: %d passed of %d, most of them before all that; want %d at most", passed, idleLimit, most)
	}
}

// judgeLimits holds all that passed to the limits.
func (tr *trial) judgeLimits() {
	t := tr.t
	t.Helper()
	ticks, total := tr.load.passes(t, "tick"), len(tr.load.passes(t, "total"))
	if over := overWindows(ticks, tickLimit, time.Second); over > 0 {
		t.Errorf("exact, by the second: over by %d of %d", over, tickLimit)
	}
	if total > totalLimit {
		t.Errorf("exact, by the day: %d passed of %d", total, totalLimit)
	}
	// Bounded by what arrives while the gateways hear of each other; busy machines hear late.
	over, most := overOneWindow(tr.load.passes(t, "loose"), tickLimit, time.Second), tickLimit/2
	if tr.split {
		most += tickLimit
	}
	if over > most {
		t.Errorf("bounded: over by %d of %d", over, tickLimit)
	}
	t.Logf("exact: %d passed by the second, %.0f %% used while healthy; %d of %d by the day; bounded: over by %d of %d",
		len(ticks), used(ticks, tickLimit, time.Second, tr.phases[0].from, tr.phases[0].to), total, totalLimit, max(over, 0), tickLimit)
}

// paused reports whether the gateway of a call was stopped meanwhile.
func (tr *trial) paused(c *sharedCall) bool {
	for _, p := range tr.phases {
		if slices.Contains(p.paused, c.gateway) && c.sent < p.to.UnixNano() && c.answered > p.from.UnixNano() {
			return true
		}
	}
	return false
}

// judgePhases holds each phase to its haste.
func (tr *trial) judgePhases() {
	t := tr.t
	t.Helper()
	for _, p := range tr.phases {
		shared, other := tr.delays(p.from, p.to)
		t.Logf("%-16s %4.1f s, granted again after %3.1f s; shared: %s; not limited: %s", p.name, p.to.Sub(p.from).Seconds(), p.recovered.Seconds(), shared, other)
		// Some twenty calls of the store or so come first: a busy machine delays each of them.
		if most := recovery + 20*other.high; p.recovered > most {
			t.Errorf("%s: exact limits were granted again after %s, want %s at most", p.name, p.recovered, most)
		}
		if haste := unhurried(shared, other, 50*time.Millisecond); haste != "" {
			t.Errorf("%s: %s", p.name, haste)
		}
	}
	shared, other := tr.delays(tr.phases[0].from, time.Now())
	t.Logf("all of it; shared: %s; not limited: %s", shared, other)
	if haste := unhurried(shared, other, 20*time.Millisecond); haste != "" {
		t.Errorf("all of it: %s", haste)
	}
}

// delays returns how long calls took between two times: those that the store has a part in,
// and those that it has none in.
func (tr *trial) delays(from, to time.Time) (shared, other spread) {
	all, free := tr.load.outcome(tr.t), tr.f.index("free")
	of := func(limited bool) spread {
		return delays(all, from, to, func(c *sharedCall) bool { return !tr.paused(c) && c.kind != free == limited })
	}
	return of(true), of(false)
}

// unhurried says what is wrong where calls that the store has a part in took longer than
// those, at the same time, that it has none in: by more than most, but for one in a hundred.
// The machine may be busy, which delays both; of few calls p99 is but the slowest.
func unhurried(shared, other spread, most time.Duration) string {
	switch {
	case shared.median > other.median+10*time.Millisecond:
		return fmt.Sprintf("the store delays calls: half of them took %s, %s where there is no limit", shared.median, other.median)
	case shared.high > 3*other.high/2+most:
		return fmt.Sprintf("the store delays calls: p99 %s, %s where there is no limit", shared.high, other.high)
	}
	// As many are slow as of the others, and a few more by chance.
	expect := float64(other.slow+1) * float64(shared.calls) / float64(max(other.calls, 1))
	if float64(shared.slow) > 1.5*expect+4*math.Sqrt(expect)+float64(shared.calls)/100 {
		return fmt.Sprintf("%d calls of %d took longer than 50 ms, and %d of %d where there is no limit", shared.slow, shared.calls, other.slow, other.calls)
	}
	return ""
}

// judgeStore holds the store to having counted each call that passed, once.
func (tr *trial) judgeStore(store *redistest.Server) {
	t := tr.t
	t.Helper()
	passed, total := int64(len(tr.load.passes(t, "ample"))), int64(len(tr.load.passes(t, "total")))
	least, most := passed-int64(tr.mayLack), passed+int64(tr.mayExceed)
	var sums []int64
	found := func() bool {
		sums = dailySums(t, store)
		return len(sums) == 3 && sums[2] >= least && sums[2] <= most
	}
	for deadline := time.Now().Add(recovery); !found() && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
	}
	if !found() {
		t.Errorf("the store has counted %d; %d passed under one limit, and %d under the other", sums, total, passed)
		return
	}
	t.Logf("the store has counted %d of %d that passed, and %d of %d, with rights that are held", sums[2], passed, sums[1], total)
	if sums[1] < total || sums[1] > totalLimit {
		t.Errorf("the store has counted %d, with rights, of %d that passed", sums[1], total)
	}
}

// judgeManagers holds the traffic managers to having counted each call that passed, once.
func (tr *trial) judgeManagers() {
	t := tr.t
	t.Helper()
	if len(tr.f.managers) == 0 {
		return
	}
	passed := len(tr.load.passes(t, "quota"))
	until(t, "the traffic managers to have counted all", func() bool { return tr.f.counted(t, "quota") >= passed })
	if n := tr.f.counted(t, "quota"); n != passed {
		t.Errorf("the traffic managers counted %d, %d reached the backend", n, passed)
	}
	t.Logf("the traffic managers have counted %d of %d", passed, passed)
}

// dailySums returns the sums of all registers of gateways for windows that end in
// minutes at the soonest, the smaller ones first. Windows that end together are a hash.
func dailySums(t testing.TB, store *redistest.Server) (sums []int64) {
	t.Helper()
	keys, err := store.Try("KEYS", "weir:*:g:w*")
	if err != nil {
		return nil
	}
	for _, key := range keys.([]any) {
		left, err := store.Try("PTTL", key)
		if err != nil || left.(int64) < 2*time.Minute.Milliseconds() {
			continue
		}
		all, err := store.Try("HGETALL", key)
		if err != nil {
			return nil
		}
		fields := all.([]any)
		for i := 0; i+1 < len(fields); i += 2 {
			if fields[i].(string) != "" { // which only fills
				sums = append(sums, sumOf(t, []byte(fields[i+1].(string))))
			}
		}
	}
	slices.Sort(sums)
	return sums
}

// sumOf adds up the registers of a window's record: their sum, of 7 bytes, and for each node
// 22, which end with its register.
func sumOf(t testing.TB, record []byte) (sum int64) {
	t.Helper()
	const head, entry, size = 7, 22, 7
	number := func(b []byte) int64 { return int64(binary.LittleEndian.Uint64(append(bytes.Clone(b[:size]), 0))) }
	if len(record) < head || (len(record)-head)%entry != 0 {
		t.Fatalf("a record of %d bytes", len(record))
	}
	for i := head; i < len(record); i += entry {
		sum += number(record[i+entry-size:])
	}
	if told := number(record); told != sum {
		t.Errorf("the store says that registers come to %d, and they come to %d", told, sum)
	}
	return sum
}
