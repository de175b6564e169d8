package project

import (
	"math"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // calendar windows need time zones, and a container may have none

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// limitKeys are the keys of a limit, wherever one stands.
var limitKeys = []string{
	"count", "dataAmount", "dataUnit", "eventCount", "unitTime", "timeUnit", "unlimited",
	"algorithm", "bucketSize", "accuracy", "onStoreLoss", "shadow", "calendar", "timeZone",
}

// quotaKeys are those of which a limit has exactly one.
var quotaKeys = []string{"count", "dataAmount", "eventCount", "unlimited"}

var (
	algorithms = []string{"fixed-window", "sliding-window", "token-bucket"}
	accuracies = []string{"eventual", "bounded", "exact"}
	losses     = []string{"local", "closed", "open"}
	lossValues = []limiter.OnStoreLoss{limiter.Local, limiter.Closed, limiter.Open}
)

// limit returns the limit that o holds, nil for "unlimited: true". It reports
// false if there is none, or a fault in it. Keys of o that are no limit's are
// the caller's.
func (o object) limit() (*limiter.Limit, bool) {
	var quotas []string
	for _, k := range quotaKeys {
		if _, ok := o.get(k); ok {
			quotas = append(quotas, k)
		}
	}
	switch {
	case len(quotas) == 0:
		o.fault("has no limit: count, dataAmount or eventCount, or else unlimited: true")
		return nil, false
	case len(quotas) > 1:
		o.fault("has %s; a limit has one of them", strings.Join(quotas, " and "))
		return nil, false
	case quotas[0] == "unlimited":
		return nil, o.unlimited()
	}
	l := &limiter.Limit{Shadow: o.boolean("shadow", false)}
	if !o.quota(l, quotas[0]) || !o.window(l) {
		return nil, false
	}
	if v, ok := o.get("algorithm"); ok {
		name, ok := v.oneOf(algorithms...)
		if !ok {
			return nil, false
		}
		l.Algorithm = limiter.Algorithm(slices.Index(algorithms, name))
	}
	if v, ok := o.get("bucketSize"); ok {
		if l.Algorithm != limiter.TokenBucket {
			v.fault("bucketSize is for algorithm: token-bucket only")
			return nil, false
		}
		if l.Burst, ok = v.integer(1, math.MaxInt32); !ok {
			return nil, false
		}
	}
	if err := l.Validate(); err != nil {
		o.fault("%v", err)
		return nil, false
	}
	return l, o.sharing(l, "accuracy", "onStoreLoss")
}

// sharing reads how closely a fleet is held to l, and what holds while counters cannot be
// shared. It reports false if there is a fault in it.
func (o object) sharing(l *limiter.Limit, accuracyKey, lossKey string) bool {
	l.Accuracy = policy.ByLevel
	if v, there := o.get(accuracyKey); there {
		name, ok := v.oneOf(accuracies...)
		if !ok {
			return false
		}
		l.Accuracy = limiter.Accuracy(slices.Index(accuracies, name))
	}
	if v, there := o.get(lossKey); there {
		name, ok := v.oneOf(losses...)
		if !ok {
			return false
		}
		l.OnStoreLoss = lossValues[slices.Index(losses, name)]
	}
	return true
}

// unlimited reports whether o is unlimited and nothing else.
func (o object) unlimited() bool {
	v := o.fields["unlimited"]
	yes, ok := v.boolean()
	if ok && !yes {
		v.fault("unlimited is true or is not there")
		return false
	}
	for _, k := range limitKeys {
		if w, there := o.get(k); there && k != "unlimited" {
			w.fault("%s means nothing beside unlimited: true", k)
			return false
		}
	}
	return ok
}

// quota reads what is counted, and how much of it.
func (o object) quota(l *limiter.Limit, key string) (ok bool) {
	const most = 1 << 53 // the most that every reader of JSON has exactly
	v := o.fields[key]
	if l.Count, ok = v.integer(0, most); !ok {
		return false
	}
	unit, hasUnit := o.get("dataUnit")
	switch key {
	case "dataAmount":
		l.Cost = limiter.Bytes
		if !hasUnit {
			v.fault("dataAmount needs a dataUnit: KB, MB or GB")
			return false
		}
		name, ok := unit.text()
		if !ok {
			return false
		}
		n, err := policy.DataBytes(l.Count, name)
		if err != nil {
			unit.fault("%v", err)
			return false
		}
		l.Count = n
		return true
	case "eventCount":
		l.Cost = limiter.Events
	}
	if hasUnit {
		unit.fault("dataUnit is for dataAmount only")
		return false
	}
	return true
}

// window reads for how long the quota is.
func (o object) window(l *limiter.Limit) bool {
	unit, ok := o.get("timeUnit")
	if !ok {
		o.fault("timeUnit is missing: sec, min, hour, day, week, month or year")
		return false
	}
	name, ok := unit.text()
	if !ok {
		return false
	}
	n := int64(1)
	at := unit
	if v, ok := o.get("unitTime"); ok {
		if n, ok = v.integer(1, math.MaxInt32); !ok {
			return false
		}
	}
	zone, hasZone := o.get("timeZone")
	if o.boolean("calendar", hasZone) {
		return o.calendar(l, at, name, n)
	}
	if hasZone {
		zone.fault("timeZone is for calendar: true only")
		return false
	}
	w, err := policy.Window(n, name)
	if err != nil {
		at.fault("%v", err)
		return false
	}
	l.Window = w
	return true
}

var calendarUnits = []string{"", "day", "week", "month", "year"}

// calendar makes the window n units of the calendar.
func (o object) calendar(l *limiter.Limit, at value, unit string, n int64) bool {
	i := slices.Index(calendarUnits, strings.TrimSuffix(strings.ToLower(unit), "s"))
	if i < 1 {
		at.fault("timeUnit of a calendar window must be day, week, month or year, not %s", quoted(unit))
		return false
	}
	l.Window = limiter.Window{Calendar: limiter.Calendar(i)}
	if n > 1 {
		l.Window.Every = int(n)
	}
	zone, ok := o.get("timeZone")
	if !ok {
		return true
	}
	name, ok := zone.nonEmpty()
	if !ok {
		return false
	}
	location, err := loadLocation(name)
	if err != nil {
		zone.fault("timeZone %s is not known; write it like Europe/Berlin", quoted(name))
		return false
	}
	l.Window.Location = location
	return true
}

// loadLocation returns a time zone; UTC is nil. The zone of the machine is none:
// it would not be the same on every node.
func loadLocation(name string) (*time.Location, error) {
	switch name {
	case "", "UTC":
		return nil, nil
	case "Local":
		return nil, errLocalZone
	}
	return time.LoadLocation(name)
}
