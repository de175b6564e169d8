package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/gateway"
)

// start is when every script begins: a Thursday, at the beginning of a minute,
// an hour, a day and a year.
var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// proxies are the addresses whose X-Forwarded-For is believed.
var proxies = netip.MustParsePrefix("203.0.113.0/24")

// A world is one gateway with a project in force, and the clock.
type world struct {
	*story
	gateway *gateway.Gateway
	now     time.Time
	streams map[string]*gateway.Exchange
	// late are the calls that have not ended yet, in the order of their ends.
	late []call
	// exchange and trial are used again and again, as front doors do.
	exchange, trial *gateway.Exchange
	// twin tells that the world only repeats what has been looked at before.
	twin bool
	sent int         // requests
	last observation // what came of the last of them
}

// A call is one that ends at some time.
type call struct {
	exchange *gateway.Exchange
	outcome  gateway.Outcome
}

// run takes the steps of a script one after the other. The error names the step.
func (w *world) run(steps []step) error {
	for i := range steps {
		err := w.step(&steps[i])
		if err == nil && steps[i].hit != nil {
			err = w.punctual(steps[:i+1])
		}
		if err != nil {
			return &stepError{steps[i].line, fmt.Errorf("%s\n\tat %s: %w", steps[i].text, w.clock(), err)}
		}
	}
	return nil
}

// A stepError is what went wrong in a line of a script.
type stepError struct {
	line int
	err  error
}

func (e *stepError) Error() string { return e.err.Error() }
func (e *stepError) Unwrap() error { return e.err }

// clock tells the time in both of a script's ways.
func (w *world) clock() string {
	return fmt.Sprintf("%s (%s)", w.now.Sub(start), w.now.Format(time.RFC3339Nano))
}

func (w *world) step(s *step) error {
	switch {
	case s.at != nil && !s.at.date.IsZero():
		w.set(s.at.date)
	case s.at != nil:
		w.set(start.Add(s.at.after))
	case s.apply != nil:
		return w.change(s.apply)
	case s.hit != nil:
		return w.hits(s.hit)
	case s.open != nil:
		return w.openStream(s.open)
	case s.events != nil:
		return w.send(s.events)
	case s.end != "":
		return w.closeStream(s.end)
	case s.count != nil:
		return w.figure(s.count)
	}
	return nil
}

// set sets the clock. The calls that end by then end on the way.
func (w *world) set(now time.Time) {
	for len(w.late) > 0 && !w.late[0].outcome.Time.After(now) {
		w.gateway.Finish(w.late[0].exchange, w.late[0].outcome)
		w.late = w.late[1:]
	}
	w.now = now
}

// change applies files, or sees them refused.
func (w *world) change(a *application) error {
	if !w.files.has(a.prefix) {
		return fmt.Errorf("there are no files under %s/", a.prefix)
	}
	err := w.apply(a.prefix)
	switch {
	case !a.refused:
		return err
	case err == nil:
		return fmt.Errorf("was applied")
	}
	return contains(err.Error(), a.reason)
}

// hits sends the requests of one step.
func (w *world) hits(h *hit) error {
	for n := range h.times {
		w.set(w.now.Add(h.every))
		for i := range h.count {
			send := w.hit
			if w.twin {
				send = func(h *hit) error { _, err := w.admit(h); return err }
			}
			if err := send(h); err != nil {
				return fmt.Errorf("request %d of %d: %w", n*h.count+i+1, h.times*h.count, err)
			}
		}
	}
	return nil
}

// hit sends one request: it asks Explain first, and holds Admit to it.
func (w *world) hit(h *hit) error {
	told, err := w.explain(h)
	if err != nil {
		return err
	}
	got, err := w.admit(h)
	if err != nil {
		return err
	}
	if err := got.agrees(&told); err != nil {
		return err
	}
	if err := got.truthful(); err != nil {
		return err
	}
	return got.meets(&h.want)
}

// admit sends one request, to its end.
func (w *world) admit(h *hit) (observation, error) {
	if err := w.fill(w.exchange, h); err != nil {
		return observation{}, err
	}
	w.sent++
	x := w.exchange
	got, err := observe(x, w.gateway.Admit(x))
	ended := h.result(w.now, got.outcome == allowed)
	if !ended.Time.After(w.now) {
		w.gateway.Finish(x, ended)
		return got, err
	}
	w.exchange = new(gateway.Exchange)
	at, _ := slices.BinarySearchFunc(w.late, ended.Time, func(c call, t time.Time) int { return c.outcome.Time.Compare(t) })
	w.late = slices.Insert(w.late, at, call{x, ended})
	return got, err
}

// explain asks what would come of h.
func (w *world) explain(h *hit) (gateway.Explanation, error) {
	if err := w.fill(w.trial, h); err != nil {
		return gateway.Explanation{}, err
	}
	return w.gateway.Explain(w.trial), nil
}

// result is what the front door would tell of a hit.
func (h *hit) result(now time.Time, forwarded bool) gateway.Outcome {
	o := gateway.Outcome{Time: now.Add(h.took)}
	if forwarded && !h.unreached {
		o.Forwarded, o.Status = true, 200
		o.RequestBytes, o.ResponseBytes = h.sent, h.answer
	}
	return o
}

func (w *world) openStream(s *stream) error {
	if w.streams[s.name] != nil {
		return fmt.Errorf("stream %s is open already", s.name)
	}
	x := new(gateway.Exchange)
	if err := w.fill(x, s.hit); err != nil {
		return err
	}
	x.Upgrade = true
	got, err := observe(x, w.gateway.Admit(x))
	if err == nil {
		err = got.meets(&s.hit.want)
	}
	if err == nil && got.outcome == allowed {
		w.streams[s.name] = x
	}
	return err
}

func (w *world) send(m *messages) error {
	x := w.streams[m.stream]
	if x == nil {
		return fmt.Errorf("stream %s is not open", m.stream)
	}
	for i := range m.count {
		if pass := w.gateway.Event(x, w.now); pass != m.pass {
			return fmt.Errorf("message %d of %d: pass is %v", i+1, m.count, pass)
		}
	}
	return nil
}

func (w *world) closeStream(name string) error {
	x := w.streams[name]
	if x == nil {
		return fmt.Errorf("stream %s is not open", name)
	}
	delete(w.streams, name)
	w.gateway.Finish(x, gateway.Outcome{Status: 101, Forwarded: true, Time: w.now})
	return nil
}

// figure looks at one of the gateway's counters.
func (w *world) figure(f *figure) error {
	s := w.gateway.Stats()
	var got uint64
	switch f.name {
	case "forwarded":
		got = s.Forwarded
	case "rejected":
		got = s.Rejected
	case "bytes":
		got = s.RequestBytes + s.ResponseBytes
	case "refused", "shadowed":
		l, ok := levelNamed(f.level)
		if !ok {
			return fmt.Errorf("%q is no level", f.level)
		}
		if got = s.Refused[l]; f.name == "shadowed" {
			got = s.Shadowed[l]
		}
	default:
		return fmt.Errorf("%q is no figure", f.name)
	}
	if got != f.want {
		return fmt.Errorf("is %d", got)
	}
	return nil
}

func levelNamed(name string) (weir.Level, bool) {
	for l := weir.LevelDeny; l <= weir.LevelBackend; l++ {
		if l.String() == name {
			return l, true
		}
	}
	return 0, false
}
