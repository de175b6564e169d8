package cli

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// The roles whose nodes share counters among themselves.
const (
	roleGateway = "gateway"
	roleManager = "traffic-manager"
)

// A topAnswer is the answer of a gateway's /sharing.
type topAnswer struct {
	Name  string `json:"name"`
	Roles []struct {
		Role    string      `json:"role"`
		Sharing *topSharing `json:"sharing"`
	} `json:"roles"`
	fault error
}

// A topSharing is what a node says of how it shares counters.
type topSharing struct {
	Node           string  `json:"node"`
	Lost           bool    `json:"lost"`
	Nodes          int64   `json:"nodes"`
	Calls          int64   `json:"calls"`
	Errors         int64   `json:"errors"`
	Losses         int64   `json:"losses"`
	Waits          int64   `json:"waits"`
	Epochs         int64   `json:"epochs"`
	RecentCalls    int64   `json:"recentCalls"`
	RecentRequests int64   `json:"recentRequests"`
	RoundTrip      float64 `json:"roundTrip"`
	ClockOffset    float64 `json:"clockOffset"`
	LimitsInUse    int     `json:"limitsInUse"`
	Limits         []struct {
		Level      string  `json:"level"`
		Policy     string  `json:"policy"`
		Group      int     `json:"group"`
		Accuracy   string  `json:"accuracy"`
		Unit       string  `json:"unit"`
		Keys       int64   `json:"keys"`
		Held       int64   `json:"held"`
		Assertions int64   `json:"assertions"`
		Over       int64   `json:"over"`
		Limit      int64   `json:"limit"`
		Staleness  float64 `json:"staleness"`
	} `json:"limits"`
}

// A topSharer is a node that shares counters with the others of its role.
type topSharer struct {
	URL     string `json:"url,omitempty"`   // of a gateway that was asked itself
	Error   string `json:"error,omitempty"` // why it says nothing; then all that follows is zero
	Role    string `json:"role,omitempty"`
	Name    string `json:"name,omitempty"`
	Node    string `json:"node,omitempty"` // by which the store knows its run
	StoreUp bool   `json:"store_up"`
	// Trips are calls of the store for each request, of late; nil: there were no requests.
	Trips       *float64 `json:"round_trips_per_request"`
	RoundTrip   float64  `json:"round_trip_ms"`
	Nodes       int64    `json:"nodes"` // of its role, as far as it knows
	Calls       int64    `json:"calls"`
	Failed      int64    `json:"calls_failed"`
	Waited      int64    `json:"waited"` // requests, for the store
	Losses      int64    `json:"store_losses"`
	Epochs      int64    `json:"epochs"`
	ClockOffset float64  `json:"clock_offset_ms"` // by which the store's clock is ahead
	LimitsInUse int      `json:"limits_in_use"`
	silent      float64
	told        *topSharing
}

// A topLimit is a limit whose counters nodes of a role share.
type topLimit struct {
	Role     string `json:"role"`
	Level    string `json:"level"`
	Policy   string `json:"policy"`
	Group    *int   `json:"group,omitempty"` // nil: the policy's own limit
	Accuracy string `json:"accuracy"`
	Unit     string `json:"unit"`
	Nodes    int    `json:"nodes"`      // that have counters of it
	Away     int    `json:"store_away"` // of these, those that have lost the store
	// Of all nodes the most: each may know the same keys, and has seen the same excess.
	Keys      int64   `json:"keys"`
	Staleness float64 `json:"staleness_ms"`
	Over      int64   `json:"over"`
	Limit     int64   `json:"limit"` // that Over is of
	// Of all nodes the sum.
	Held       int64    `json:"rights_held"`
	Assertions int64    `json:"assertions"`
	Trips      *float64 `json:"round_trips_per_request"` // of these nodes, for all their limits

	calls, requests int64
}

// addAnswer adds what a gateway at a URL said.
func (v *topView) addAnswer(at string, a *topAnswer) {
	if a.fault == nil && len(a.Roles) == 0 {
		a.fault = errors.New("it shares no counters")
	}
	if a.fault != nil {
		v.Sharing = append(v.Sharing, topSharer{URL: at, Error: a.fault.Error()})
		return
	}
	for _, r := range a.Roles {
		v.addSharer(topSharer{URL: at, Role: r.Role, Name: a.Name}, r.Sharing)
	}
}

// addSharer adds a node of which s is told, unless that is nil. Of what is told of it by
// several, the latest is taken.
func (v *topView) addSharer(n topSharer, s *topSharing) {
	if s == nil {
		return
	}
	n.told, n.Node, n.StoreUp, n.Nodes = s, s.Node, !s.Lost, s.Nodes
	n.Trips, n.RoundTrip, n.ClockOffset = ratio(s.RecentCalls, s.RecentRequests), s.RoundTrip, s.ClockOffset
	n.Calls, n.Failed, n.Waited, n.Losses, n.Epochs = s.Calls, s.Errors, s.Waits, s.Losses, s.Epochs
	n.LimitsInUse = s.LimitsInUse
	i := slices.IndexFunc(v.Sharing, func(o topSharer) bool { return o.Error == "" && o.Node == n.Node && o.Role == n.Role })
	switch {
	case i < 0:
		v.Sharing = append(v.Sharing, n)
	case n.silent <= v.Sharing[i].silent:
		v.Sharing[i] = n
	}
}

// ratio returns a in parts of b, nil if there is no b.
func ratio(a, b int64) *float64 {
	if b <= 0 {
		return nil
	}
	r := float64(a) / float64(b)
	return &r
}

// addLimits makes the limits of what the nodes tell. Nodes and limits with a trouble come
// first.
func (v *topView) addLimits() {
	type identity struct {
		role, level, policy string
		group               int
		accuracy, unit      string
	}
	index := make(map[identity]int)
	for i := range v.Sharing {
		n := &v.Sharing[i]
		if n.told == nil {
			continue
		}
		for _, l := range n.told.Limits {
			id := identity{n.Role, l.Level, l.Policy, l.Group, l.Accuracy, l.Unit}
			at, ok := index[id]
			if !ok {
				at = len(v.Limits)
				index[id] = at
				one := topLimit{Role: n.Role, Level: l.Level, Policy: l.Policy, Accuracy: l.Accuracy, Unit: l.Unit, Limit: l.Limit}
				if l.Group >= 0 {
					one.Group = &l.Group
				}
				v.Limits = append(v.Limits, one)
			}
			o := &v.Limits[at]
			o.join(n)
			o.Keys, o.Staleness = max(o.Keys, l.Keys), max(o.Staleness, l.Staleness)
			o.Held, o.Assertions = o.Held+l.Held, o.Assertions+l.Assertions
			if l.Over > o.Over {
				o.Over, o.Limit = l.Over, l.Limit
			}
		}
	}
	slices.SortStableFunc(v.Sharing, func(a, b topSharer) int {
		return cmp.Or(a.trouble()-b.trouble(), cmp.Compare(a.Role, b.Role), cmp.Compare(a.Name, b.Name), cmp.Compare(a.URL, b.URL))
	})
	slices.SortStableFunc(v.Limits, func(a, b topLimit) int {
		return cmp.Or(cmp.Compare(b.excess(), a.excess()), cmp.Compare(a.Role, b.Role), cmp.Compare(b.Keys, a.Keys),
			cmp.Compare(a.Level, b.Level), cmp.Compare(a.Policy, b.Policy))
	})
}

// join takes in a node that has counters of the limit.
func (l *topLimit) join(n *topSharer) {
	l.Nodes++
	if !n.StoreUp {
		l.Away++
	}
	l.calls, l.requests = l.calls+n.told.RecentCalls, l.requests+n.told.RecentRequests
	l.Trips = ratio(l.calls, l.requests)
}

// excess is by how much the limit was exceeded, in parts of it.
func (l *topLimit) excess() float64 { return float64(l.Over) / float64(max(l.Limit, 1)) }

// trouble orders nodes: those that don't answer, those without their store, the others.
func (n *topSharer) trouble() int {
	switch {
	case n.Error != "":
		return 0
	case !n.StoreUp:
		return 1
	}
	return 2
}

// unsaid returns why gateways that were asked say nothing, and whether any says something.
func (v *topView) unsaid() (faults []error, some bool) {
	for i := range v.Sharing {
		switch n := &v.Sharing[i]; {
		case n.URL == "":
		case n.Error == "":
			return nil, true
		default:
			faults = append(faults, fmt.Errorf("%s: %s", printable(n.URL), printable(n.Error)))
		}
	}
	return faults, false
}
