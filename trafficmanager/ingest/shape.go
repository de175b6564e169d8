package ingest

import (
	"math"
	"time"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// A limitShape is a limit in WSO2's shape: one of the pointers is set.
type limitShape struct {
	QuotaType    string         `json:"quotaType"`
	RequestCount *requestShape  `json:"requestCount,omitempty"`
	Bandwidth    *bandwidth     `json:"bandwidth,omitempty"`
	EventCount   *eventsOfLimit `json:"eventCount,omitempty"`
}

// A windowShape is a window in WSO2's units, and what those cannot say: that it is
// a unit of the calendar, of a time zone.
type windowShape struct {
	TimeUnit string `json:"timeUnit"`
	UnitTime int64  `json:"unitTime"`
	Calendar bool   `json:"calendar,omitempty"`
	TimeZone string `json:"timeZone,omitempty"`
}

type requestShape struct {
	windowShape
	RequestCount int64 `json:"requestCount"`
}

type bandwidth struct {
	windowShape
	DataAmount int64  `json:"dataAmount"`
	DataUnit   string `json:"dataUnit"`
}

type eventsOfLimit struct {
	windowShape
	EventCount int64 `json:"eventCount"`
}

// showLimit returns a limit in WSO2's shape; nil is what it has for no limit.
func showLimit(l *limiter.Limit) limitShape {
	if l == nil {
		l = &limiter.Limit{Count: math.MaxInt32, Window: limiter.Window{Length: time.Minute}}
	}
	w := showWindow(&l.Window)
	switch l.Cost {
	case limiter.Bytes:
		b := &bandwidth{w, l.Count, "B"}
		switch {
		case l.Count > 0 && l.Count%(1<<20) == 0:
			b.DataAmount, b.DataUnit = l.Count>>20, "MB"
		case l.Count > 0 && l.Count%(1<<10) == 0:
			b.DataAmount, b.DataUnit = l.Count>>10, "KB"
		}
		return limitShape{QuotaType: "bandwidthVolume", Bandwidth: b}
	case limiter.Events:
		return limitShape{QuotaType: "eventCount", EventCount: &eventsOfLimit{w, l.Count}}
	}
	return limitShape{QuotaType: "requestCount", RequestCount: &requestShape{w, l.Count}}
}

// units are WSO2's units of time, from the longest.
var units = [...]struct {
	name   string
	length time.Duration
}{
	{"year", 31_556_900_000 * time.Millisecond},
	{"month", 2_630_000_000 * time.Millisecond},
	{"week", 7 * 24 * time.Hour},
	{"day", 24 * time.Hour},
	{"hour", time.Hour},
	{"min", time.Minute},
	{"sec", time.Second},
	{"ms", time.Millisecond},
}

func showWindow(w *limiter.Window) windowShape {
	if w.Calendar != limiter.NoCalendar {
		zone := "UTC"
		if w.Location != nil {
			zone = w.Location.String()
		}
		return windowShape{TimeUnit: w.Calendar.String(), UnitTime: int64(max(w.Every, 1)), Calendar: true, TimeZone: zone}
	}
	for _, u := range units {
		if w.Length >= u.length && w.Length%u.length == 0 {
			return windowShape{TimeUnit: u.name, UnitTime: int64(w.Length / u.length)}
		}
	}
	return windowShape{TimeUnit: "ms", UnitTime: int64(w.Length / time.Millisecond)}
}

// A burstShape is a spike arrest in WSO2's shape: a count per second or minute.
type burstShape struct {
	Count int64  `json:"rateLimitCount"`
	Unit  string `json:"rateLimitTimeUnit,omitempty"`
}

// showBurst returns a burst; nil is none. One of another window than a second or a
// minute is shown as the like of it per minute.
func showBurst(l *limiter.Limit) burstShape {
	switch {
	case l == nil || l.Window.Length <= 0:
		return burstShape{}
	case l.Window.Length == time.Second:
		return burstShape{l.Count, "sec"}
	}
	perMinute := float64(l.Count) * float64(time.Minute) / float64(l.Window.Length)
	return burstShape{int64(min(perMinute, math.MaxInt32)), "min"}
}

// A groupShape is a group of conditions in WSO2's shape.
type groupShape struct {
	PolicyID     int              `json:"policyId"`
	QuotaType    string           `json:"quotaType"`
	GroupID      int              `json:"conditionGroupId"`
	Condition    []conditionShape `json:"condition"`
	DefaultLimit limitShape       `json:"defaultLimit"`
}

type conditionShape struct {
	Type     string `json:"conditionType"`
	Name     string `json:"name"`
	Value    string `json:"value"`
	Inverted bool   `json:"isInverted"`
}

// showGroups returns the groups of a policy. The ID of a group is its index, as in
// the keys of decisions.
func showGroups(policyID int, groups []policy.Group) []groupShape {
	list := make([]groupShape, len(groups))
	for i := range groups {
		l := showLimit(groups[i].Limit)
		g := groupShape{PolicyID: policyID, QuotaType: l.QuotaType, GroupID: i, DefaultLimit: l, Condition: []conditionShape{}}
		for j := range groups[i].Conditions {
			g.Condition = append(g.Condition, showCondition(&groups[i].Conditions[j]))
		}
		list[i] = g
	}
	return list
}

func showCondition(c *policy.Condition) conditionShape {
	out := conditionShape{Inverted: c.Invert}
	value := func(kind string, v *policy.ValueCondition) conditionShape {
		out.Type, out.Name, out.Value = kind, v.Name, v.Pattern
		return out
	}
	switch {
	case c.Header != nil:
		return value("Header", c.Header)
	case c.Query != nil:
		return value("QueryParameterType", c.Query)
	case c.Claim != nil:
		return value("JWTClaims", c.Claim)
	case c.IP == nil:
		return out
	}
	out.Type, out.Name = "IPSpecific", "IPSpecific"
	switch p := c.IP.Prefix; {
	case p.IsSingleIP():
		out.Value = p.Addr().String()
	case p.IsValid():
		out.Value = p.String()
	default:
		out.Type, out.Name, out.Value = "IPRange", c.IP.From.String(), c.IP.To.String()
	}
	return out
}
