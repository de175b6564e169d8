package uplink

import "time"

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
}

// succeed notes that issuer now answers where was did. group.mu must be held.
func (l *link) succeed(now time.Time, was, issuer string) {
	if was != "" && was != issuer {
		l.former = append(l.former, former{was, now})
	}
}

// retireFormer ends the decisions of runs that were succeeded long enough ago, and
// that answer nowhere else.
func (l *link) retireFormer(now time.Time) {
	for len(l.former) > 0 && now.Sub(l.former[0].since) >= outlive && l.phase == joined {
		f := l.former[0]
		l.former = l.former[1:]
		if !l.uplink.answers(f.issuer) {
			l.options.DecideAll(f.issuer, nil, 0)
		}
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
