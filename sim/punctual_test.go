package sim

import (
	"fmt"
	"time"
)

// repeatable is how many requests are sent once more to see what would have come.
const repeatable = 2000

// punctual holds the last answer of the last step, if it has Retry-After, to the
// truth: in a world to which the same has happened, the limit that refused still
// refuses a moment before its time, and no longer once Retry-After is over.
func (w *world) punctual(steps []step) error {
	h := steps[len(steps)-1].hit
	if w.twin || w.sent > repeatable || h.want.outcome != denied {
		return nil
	}
	i := w.last.refused
	if i < 0 || i >= len(w.last.checks) {
		return nil // what refused is no limit
	}
	c := w.last.checks[i]
	if c.Limit.Count == 0 || c.N > c.Limit.Count {
		return nil // there is no time at which it passes
	}
	other, err := w.begin()
	if err != nil {
		return err
	}
	other.twin = true
	if err := other.run(steps); err != nil {
		return err
	}
	was, err := other.admit(h)
	if err != nil {
		return err
	}
	now := other.now
	for _, later := range []struct {
		after   time.Duration
		refuses bool
	}{
		{c.Reset - time.Millisecond, true},
		{time.Duration(was.retry) * time.Second, false},
	} {
		if later.after <= 0 {
			continue
		}
		other.set(now.Add(later.after))
		is, err := other.admit(h)
		if err != nil {
			return err
		}
		if refuses := is.level == was.level && is.policy == was.policy; refuses != later.refuses {
			return fmt.Errorf("Retry-After is %d, for %s; %s later it is %s", was.retry, c.Reset, later.after, &is)
		}
	}
	return nil
}
