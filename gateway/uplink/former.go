package uplink

import (
	"time"
)

// outlive is how long the decisions of a run hold after the next run has been
// heard of: by then gateways have told that what they had counted, and it has
// decided for itself.
const outlive = 10 * time.Second

// A former is a run of a manager that another has taken the place of. Nobody takes
// its decisions back: a limit that was raised meanwhile would hold until the end
// of a month.
type former struct {
	issuer string
	since  time.Time // when its successor was first heard of
	clock  reading   // the best of its clock
}

// succeed notes that issuer now answers where was did, by whose clock it was. group.mu
// must be held.
func (l *link) succeed(now time.Time, was, issuer string, clock reading) {
	if was != "" && was != issuer {
		l.former = append(l.former, former{was, now, clock})
	}
}

// clockOf returns what is known of an issuer's clock, if l leads to it or did of
// late. group.mu must be held.
func (l *link) clockOf(issuer string) *reading {
	if l.stats.Issuer == issuer {
		return &l.clock.best
	}
	for i := range l.former {
		if l.former[i].issuer == issuer {
			return &l.former[i].clock
		}
	}
	return nil
}

// retireFormer ends the decisions of runs that were succeeded long enough ago, and
// that answer nowhere else.
func (l *link) retireFormer(now time.Time) {
	for l.phase == joined {
		issuer := l.due(now)
		if issuer == "" {
			return
		}
		l.uplink.retire(issuer)
	}
}

// due takes away the run that was succeeded longest ago, if that is long enough, and
// returns its name; otherwise none.
func (l *link) due(now time.Time) string {
	l.group.mu.Lock()
	defer l.group.mu.Unlock()
	if len(l.former) == 0 || now.Sub(l.former[0].since) < outlive {
		return ""
	}
	issuer := l.former[0].issuer
	l.former = l.former[1:]
	return issuer
}

// retire ends the decisions of a run that answers nowhere. If it answers after all,
// all that it decided is handed on after this.
func (u *Uplink) retire(issuer string) {
	u.handing.Lock()
	defer u.handing.Unlock()
	if !u.answers(issuer) {
		u.options.Retire(issuer)
	}
}

// answers reports whether a manager's last answer was of issuer.
func (u *Uplink) answers(issuer string) bool {
	for _, g := range u.groups {
		g.mu.Lock()
		for _, l := range g.links {
			if l.stats.Issuer == issuer {
				g.mu.Unlock()
				return true
			}
		}
		g.mu.Unlock()
	}
	return false
}
