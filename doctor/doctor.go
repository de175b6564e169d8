// Package doctor looks at everything that a node of a configuration needs: its files and
// ports, the store, the traffic managers, the topics, and the clocks of all of them. It
// says what it found, and what to do about it. It changes nothing: what it writes
// into a store expires, and what it says on a topic means nothing to anybody.
package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weir-project/weir/config"
)

// A Level says how bad a [Finding] is.
type Level string

// The levels.
const (
	OK      Level = "ok"      // as it should be
	Info    Level = "info"    // worth knowing
	Warning Level = "warning" // it works, and may let down one day
	Fault   Level = "fault"   // it does not work
)

// A Finding is one line of what was found. Its texts are without a full stop, and may
// have what others said in them: escape them before they are shown.
type Finding struct {
	Level Level `json:"level"`
	// Check is what was looked at.
	Check string `json:"check"`
	Found string `json:"found"`
	// Advice is what to do; empty if there is nothing to be done.
	Advice string `json:"advice,omitempty"`
}

// A Clock is one that was read.
type Clock struct {
	Of string `json:"of"`
	// Ahead is by how many milliseconds it is ahead of that of this host, which is
	// known but for Doubt.
	Ahead float64 `json:"ahead_ms"`
	Doubt float64 `json:"doubt_ms"`
}

// A Report is all that was found. Its JSON form is stable.
type Report struct {
	Role     config.Role `json:"role,omitempty"`
	Findings []Finding   `json:"findings"`
	Clocks   []Clock     `json:"clocks"`
}

// Count returns how many findings there are of a level.
func (r *Report) Count(l Level) (n int) {
	for _, f := range r.Findings {
		if f.Level == l {
			n++
		}
	}
	return n
}

// Options say what is looked at. Config is required.
type Options struct {
	Config config.Config
	// File is where Config is from, for people.
	File string
	// Artifacts are read by calling them, by the key that names them.
	Artifacts []Artifact
	// Version is that of this program.
	Version string
	// Timeout bounds each check; zero: 5 s. All are made at the same time.
	Timeout time.Duration
}

// An Artifact is a file with what a role serves or counts.
type Artifact struct {
	Key, File string
	Read      func() error
}

const defaultTimeout = 5 * time.Second

// A check is one thing that is looked at, with what was found.
type check struct {
	name     string
	run      func(ctx context.Context, c *check)
	findings []Finding
	clocks   []Clock
}

func (k *check) add(l Level, advice, format string, args ...any) {
	text := strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ") // of errors that have lines
	k.findings = append(k.findings, Finding{l, k.name, text, advice})
}

// clock takes the reading of a clock that was made between two times of ours.
func (k *check) clock(now, asked, answered time.Time) {
	half := answered.Sub(asked) / 2
	k.clocks = append(k.clocks, Clock{k.name, millis(now.Sub(asked.Round(0)) - half), millis(half)})
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Examine looks at everything at the same time, and returns what was found within
// Options.Timeout, in an order that does not depend on what answers first. When ctx is done
// it returns early, and what was not found by then has faults.
func Examine(ctx context.Context, o Options) Report {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	c := &o.Config
	managers := newManagers(&o)
	var all []*check
	all = append(all, fileChecks(&o)...)
	all = append(all, storeChecks(c)...)
	all = append(all, managers.checks()...)
	all = append(all, topicChecks(c)...)
	all = append(all, portChecks(&o)...)
	var group sync.WaitGroup
	for _, one := range all {
		group.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, o.Timeout)
			defer cancel()
			one.run(ctx, one)
		})
	}
	group.Wait()
	r := Report{Role: c.Role, Findings: []Finding{}, Clocks: []Clock{}}
	for _, one := range append(all, managers.compare()...) {
		r.Findings = append(r.Findings, one.findings...)
		r.Clocks = append(r.Clocks, one.clocks...)
	}
	r.Findings = append(r.Findings, compareClocks(r.Clocks)...)
	return r
}

// Refused is the report on a configuration that cannot be read.
func Refused(err error) Report {
	r := Report{Findings: []Finding{}, Clocks: []Clock{}}
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); line != "" {
			r.Findings = append(r.Findings, Finding{Fault, "configuration", line, "correct it: nothing else was looked at"})
		}
	}
	return r
}

const (
	// apart is how far clocks may be apart without anybody doing anything about it.
	apart = 250 * time.Millisecond
	// tooFar is more than what nodes get along with.
	tooFar = 5 * time.Minute
)

const clockAdvice = "set the clocks of all machines by NTP (chrony, for one)"

// compareClocks says of each clock how far it is from this host's, and how far they
// are from each other.
func compareClocks(all []Clock) []Finding {
	var out []Finding
	for _, c := range all {
		by := abs(c.Ahead) - c.Doubt // for certain
		f := Finding{OK, "clock of " + c.Of, fmt.Sprintf("%s this host's", difference(c)), ""}
		switch {
		case by > millis(tooFar):
			f.Level, f.Advice = Fault, clockAdvice
		case by > millis(apart):
			f.Level, f.Advice = Warning, clockAdvice
		}
		out = append(out, f)
	}
	if len(all) < 2 {
		return out
	}
	order := func(a, b Clock) int { return cmp.Compare(a.Ahead, b.Ahead) }
	first, last := slices.MinFunc(all, order), slices.MaxFunc(all, order)
	spread := last.Ahead - first.Ahead
	f := Finding{OK, "clocks of all", fmt.Sprintf("at most %.0f ms apart from each other", spread), ""}
	if spread-first.Doubt-last.Doubt > millis(apart) {
		f.Level, f.Advice = Warning, clockAdvice
		f.Found = fmt.Sprintf("that of %s is %.0f ms ahead of that of %s", last.Of, spread, first.Of)
	}
	return append(out, f)
}

func difference(c Clock) string {
	switch {
	case abs(c.Ahead) <= c.Doubt || abs(c.Ahead) < 1:
		return fmt.Sprintf("within %.0f ms of", max(c.Doubt, abs(c.Ahead), 1))
	case c.Ahead > 0:
		return fmt.Sprintf("%.0f ms ahead of", c.Ahead)
	}
	return fmt.Sprintf("%.0f ms behind", -c.Ahead)
}

func abs(x float64) float64 { return max(x, -x) }
