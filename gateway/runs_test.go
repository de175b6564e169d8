package gateway

import (
	"fmt"
	"math"
	"testing"
	"time"
	"unsafe"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
)

// said is what tm says of key 7 in the minute of t0.
func said(seq uint64, throttled bool) weir.Decision {
	d := decisionOn(7, seq)
	d.Throttled = throttled
	return d
}

// TestToldBefore holds that what comes late of before all was told changes nothing, also
// after the issuer's end, and that what came early stays.
func TestToldBefore(t *testing.T) {
	w := newWorld(t)
	other := decisionOn(8, 66)
	for _, s := range []struct {
		what    string
		at      time.Duration
		heard   weir.Decision
		all     []weir.Decision // that are in force
		upTo    uint64          // number of the last that all tells of; zero: heard comes by itself
		verdict Verdict
		holds   bool // afterwards
	}{
		{what: "of somebody who has not answered", at: 1, heard: said(68, true), verdict: Unknown},
		{what: "the first answer", at: 2, all: []weir.Decision{other}, upTo: 70},
		{what: "taken back before the first answer", at: 3, heard: said(68, true), verdict: Outdated},
		{what: "the last before it", at: 4, heard: said(70, true), verdict: Outdated},
		{what: "the first after it", at: 5, heard: said(71, true), verdict: Applied, holds: true},
		{what: "all, made before that came", at: 6, all: []weir.Decision{other}, upTo: 70, holds: true},
		{what: "all, made after it was taken back", at: 7, upTo: 72},
		{what: "said again", at: 8, heard: said(71, true), verdict: Outdated},
		{what: "all, of long ago", at: 9, upTo: 60},
		{what: "said again after that", at: 10, heard: said(72, true), verdict: Outdated},
		{what: "new", at: 11, heard: said(73, true), verdict: Applied, holds: true},
		{what: "the end of the issuer", at: 12, upTo: math.MaxUint64},
		{what: "said again after its end", at: 13, heard: said(73, true), verdict: Unknown},
		{what: "new after its end", at: 14, heard: said(74, true), verdict: Unknown},
		{what: "an answer after all", at: 15, all: []weir.Decision{said(74, true)}, upTo: 74, holds: true},
		{what: "taken back", at: 16, heard: said(75, false), verdict: Applied},
		{what: "when its window is over", at: 60, heard: said(75, true), verdict: Late},
	} {
		now := t0.Add(s.at * time.Second)
		switch s.upTo {
		case 0:
			if v := w.Decide(now, &s.heard, 0); v != s.verdict {
				t.Errorf("%s: %v, want %v", s.what, v, s.verdict)
			}
		case math.MaxUint64:
			w.Retire("tm")
		default:
			w.DecideAll(now, "tm", s.upTo, s.all, 0)
		}
		if got := w.decisions.find(7, now) != nil; got != s.holds {
			t.Errorf("%s: throttled is %v", s.what, got)
		}
	}
}

// TestReplacedIsRemembered holds that a newer decision is remembered for as long as the
// older one would hold, however soon it ends itself.
func TestReplacedIsRemembered(t *testing.T) {
	w := newWorld(t)
	w.meet("tm")
	long, short := said(1, true), said(2, false)
	short.Ends = t0.Add(5 * time.Second)
	for _, s := range []struct {
		at      time.Duration
		heard   weir.Decision
		verdict Verdict
		kept    int64
	}{
		{1, long, Applied, 1}, {2, short, Applied, 1}, {6, long, Outdated, 1}, {59, long, Outdated, 1}, {60, long, Late, 0},
	} {
		now := t0.Add(s.at * time.Second)
		w.decisions.sweep(now)
		if v := w.Decide(now, &s.heard, 0); v != s.verdict || w.decisions.count.Load() != s.kept {
			t.Errorf("at %ds: %v, %d kept, want %v, %d", s.at, v, w.decisions.count.Load(), s.verdict, s.kept)
		}
	}
}

// setWall returns what the clocks show if somebody has moved the wall clock by whole
// seconds; t is of [time.Now].
func setWall(t time.Time, by time.Duration) time.Time {
	*(*uint64)(unsafe.Pointer(&t)) += uint64(by/time.Second) << 30
	return t
}

// TestWallClockIsSet holds that a decision begins and ends by the time that has passed,
// whatever the wall clock is set to.
func TestWallClockIsSet(t *testing.T) {
	w := newWorld(t)
	w.meet("tm")
	begins := time.Now()
	d := decisionOn(7, 1)
	d.Begins, d.Ends = begins.Round(0).Add(2*time.Second), begins.Round(0).Add(10*time.Second)
	if v := w.Decide(begins, &d, 0); v != Applied {
		t.Fatalf("the decision is %v", v)
	}
	for _, s := range []struct {
		passed, set time.Duration
		left        time.Duration // zero: it does not hold
	}{
		{1, 0, 0}, {1, 600, 0}, {2, 0, 8}, {2, -600, 8}, {9, 0, 1}, {9, -600, 1}, {9, 600, 1}, {10, 0, 0}, {10, -600, 0}, {11, 600, 0},
	} {
		now := setWall(begins.Add(s.passed*time.Second), s.set*time.Second)
		var left time.Duration
		if e := w.decisions.find(7, now); e != nil {
			left = e.ends.Sub(now)
		}
		if left != s.left*time.Second {
			t.Errorf("after %ds, set by %ds: it holds for another %v, want %ds", s.passed, s.set, left, s.left)
		}
	}
	w.decisions.sweep(setWall(begins.Add(10*time.Second), -600*time.Second))
	if n := w.decisions.count.Load(); n != 0 {
		t.Errorf("%d decisions are kept when their window is over", n)
	}
}

// TestKeylessDecisions holds apart those that have a text and no key.
func TestKeylessDecisions(t *testing.T) {
	w := newWorld(t)
	w.meet("tm")
	var ds []weir.Decision
	for i, text := range []string{"a", "b"} {
		d := decisionOn(0, uint64(i+1))
		d.Level, d.Text = weir.LevelCustom, text
		ds = append(ds, d)
		w.Decide(t0, &ds[i], 0)
	}
	w.DecideAll(t0, "tm", 2, ds[1:], 0)
	for text, want := range map[string]bool{"a": false, "b": true} {
		if got := w.decisions.find(w.decisions.seed.Key(text), t0) != nil; got != want {
			t.Errorf("%s is throttled: %v", text, got)
		}
	}
}

// TestManyRuns bounds the runs that are known: those that told all of late stay.
func TestManyRuns(t *testing.T) {
	w := newWorld(t)
	w.meet("tm")
	for i := range 2 * maxRuns {
		w.meet(fmt.Sprint("tm", i))
		if i%100 == 0 {
			w.meet("tm")
		}
	}
	for issuer, want := range map[string]Verdict{"tm": Applied, "tm0": Unknown, fmt.Sprint("tm", 2*maxRuns-1): Applied} {
		d := decisionOn(limiter.Key(7), 1)
		d.Issuer = issuer
		if v := w.Decide(t0, &d, 0); v != want {
			t.Errorf("a decision of %s is %v, want %v", issuer, v, want)
		}
	}
	if n := len(w.decisions.runs.all); n != maxRuns {
		t.Errorf("%d runs are known, want %d", n, maxRuns)
	}
}
