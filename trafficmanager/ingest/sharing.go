package ingest

import "github.com/weir-project/weir/event"

// A Sharing is how a node shares counters with others, as JSON. Times are in
// milliseconds.
type Sharing struct {
	Node   string `json:"node"`
	Lost   bool   `json:"lost"`
	Nodes  int    `json:"nodes"`
	Calls  uint64 `json:"calls"`
	Errors uint64 `json:"errors"`
	Losses uint64 `json:"losses"`
	Waits  uint64 `json:"waits"`
	Epochs uint64 `json:"epochs"`

	RecentCalls    uint64  `json:"recentCalls"`
	RecentRequests uint64  `json:"recentRequests"`
	RoundTrip      float64 `json:"roundTrip"`
	ClockOffset    float64 `json:"clockOffset"` // of the store: by how much it is ahead

	LimitsInUse int           `json:"limitsInUse"` // of which Limits are some
	Limits      []SharedLimit `json:"limits"`
}

// A SharedLimit is how the counters of one limit stand, as a node has seen it.
type SharedLimit struct {
	Level      string  `json:"level"`
	Policy     string  `json:"policy"`
	Group      int     `json:"group"`
	Accuracy   string  `json:"accuracy"`
	Unit       string  `json:"unit"`
	Keys       int     `json:"keys"`
	Held       int64   `json:"held"`
	Assertions uint64  `json:"assertions"`
	Over       int64   `json:"over"`
	Limit      int64   `json:"limit"`
	Staleness  float64 `json:"staleness"`
}

// ShowSharing returns s as it is shown; nil if s is.
func ShowSharing(s *event.Sharing) *Sharing {
	if s == nil {
		return nil
	}
	out := &Sharing{
		Node: hex(s.Node), Lost: s.Lost, Nodes: s.Nodes, Calls: s.Calls, Errors: s.Errors, Losses: s.Losses, Waits: s.Waits,
		Epochs: s.Epochs, RecentCalls: s.RecentCalls, RecentRequests: s.RecentRequests,
		RoundTrip: millis(s.Trip), ClockOffset: millis(s.Offset), LimitsInUse: s.All,
		Limits: make([]SharedLimit, len(s.Limits)),
	}
	for i := range out.Limits {
		l := &s.Limits[i]
		out.Limits[i] = SharedLimit{
			Level: l.Level.String(), Policy: l.Policy, Group: l.Group, Accuracy: l.Accuracy.String(), Unit: l.Cost.String(),
			Keys: l.Keys, Held: l.Held, Assertions: l.Assertions, Over: l.Over, Limit: l.Count, Staleness: millis(l.Lag),
		}
	}
	return out
}
