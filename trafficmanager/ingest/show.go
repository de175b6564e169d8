package ingest

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/trafficmanager"
)

// A decision is one as WSO2's gateways know it from the topic, and what it says
// besides.
type decision struct {
	ThrottleKey         string `json:"throttleKey"`
	IsThrottled         bool   `json:"isThrottled"`
	ExpiryTimeStamp     int64  `json:"expiryTimeStamp"`
	EvaluatedConditions string `json:"evaluatedConditions,omitempty"`
	Key                 string `json:"key"`
	Level               string `json:"level"`
	Policy              string `json:"policy"`
	Group               int    `json:"group"`
	WindowStart         *int64 `json:"windowStart,omitempty"`
	Issuer              string `json:"issuer"`
	Seq                 uint64 `json:"seq"`
	Issued              int64  `json:"issued"`
}

func show(d *weir.Decision) decision {
	out := decision{
		ThrottleKey: d.Text, IsThrottled: d.Throttled, ExpiryTimeStamp: upMillis(d.Ends), EvaluatedConditions: d.Conditions,
		Key: hex(uint64(d.Key)), Level: d.Level.String(), Policy: d.Policy, Group: d.Group,
		Issuer: d.Issuer, Seq: d.Seq, Issued: d.Issued.UnixMilli(),
	}
	if !d.Begins.IsZero() {
		ms := d.Begins.UnixMilli()
		out.WindowStart = &ms
	}
	return out
}

// upMillis returns t in milliseconds, rounded up: nobody passes early.
func upMillis(t time.Time) int64 {
	return t.Add(time.Millisecond - time.Nanosecond).UnixMilli()
}

func hex(v uint64) string { return fmt.Sprintf("%016x", v) }

// decisions answers with all that is in force, or with what is new since the
// version of ?manager=&version=.
func (h *Handler) decisions(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	var manager, version uint64
	var err error
	if s := q.Get("manager"); s != "" {
		if manager, err = strconv.ParseUint(s, 16, 64); err != nil {
			fail(w, http.StatusBadRequest, "manager is no number of 16 digits of 0 to f")
			return
		}
	}
	if s := q.Get("version"); s != "" {
		if version, err = strconv.ParseUint(s, 10, 64); err != nil {
			fail(w, http.StatusBadRequest, "version is no number")
			return
		}
	}
	now := h.now()
	ds, all, to := h.manager.Decisions(now, manager, version)
	list := make([]decision, len(ds))
	for i := range ds {
		list[i] = show(&ds[i])
	}
	answer(w, http.StatusOK, struct {
		Manager   string     `json:"manager"`
		Issuer    string     `json:"issuer"`
		Version   uint64     `json:"version"`
		Now       int64      `json:"now"`
		All       bool       `json:"all"`
		Decisions []decision `json:"decisions"`
	}{hex(h.manager.ID()), h.manager.Issuer(), to, now.UnixMilli(), all, list})
}

// A use is what was spent under a key, and what gateways refuse because of it. What is
// Local each gateway counts for itself: nothing is said of its limit then.
type use struct {
	ThrottleKey string  `json:"throttleKey"`
	Key         string  `json:"key"`
	Level       string  `json:"level"`
	Policy      string  `json:"policy"`
	Group       int     `json:"group"`
	Limit       int64   `json:"limit"`
	Unit        string  `json:"unit"`
	Window      string  `json:"window"`
	Algorithm   string  `json:"algorithm"`
	Shadow      bool    `json:"shadow,omitempty"`
	Used        int64   `json:"used"`
	Share       float64 `json:"share"`
	Ends        int64   `json:"ends"`
	Throttled   bool    `json:"throttled"`
	Local       bool    `json:"local,omitempty"`
	Refused     uint64  `json:"refused"`
	RefusedRate float64 `json:"refusedPerSecond"`
}

const (
	defaultTop = 20
	maxTop     = 2048
)

// top answers with the ?n= keys of most use.
func (h *Handler) top(w http.ResponseWriter, r *http.Request) {
	n := defaultTop
	if s := r.URL.Query().Get("n"); s != "" {
		v, err := strconv.Atoi(s)
		if err != nil || v < 1 || v > maxTop {
			fail(w, http.StatusBadRequest, fmt.Sprintf("n is from 1 to %d", maxTop))
			return
		}
		n = v
	}
	now := h.now()
	list := []use{}
	for _, u := range h.manager.Top(now, n) {
		list = append(list, showUse(&u))
	}
	answer(w, http.StatusOK, struct {
		Now  int64 `json:"now"`
		Keys []use `json:"keys"`
	}{now.UnixMilli(), list})
}

func showUse(u *trafficmanager.Use) use {
	out := use{
		ThrottleKey: u.Text, Key: hex(uint64(u.Key)), Level: u.Level.String(), Policy: u.Policy, Group: u.Group,
		Used: u.Used, Share: u.Share, Throttled: u.Throttled, Local: u.Local, Refused: u.Refused, RefusedRate: u.Rate,
	}
	if !u.Local {
		l := &u.Limit
		out.Limit, out.Unit, out.Window, out.Algorithm, out.Shadow = l.Count, l.Cost.String(), l.Window.String(), l.Algorithm.String(), l.Shadow
	}
	if !u.Ends.IsZero() {
		out.Ends = upMillis(u.Ends)
	}
	return out
}

// refusedByLevel returns the levels that refused anything.
func refusedByLevel(s *trafficmanager.NodeStats) map[string]uint64 {
	out := make(map[string]uint64)
	for level, n := range s.Refused {
		if n > 0 {
			out[weir.Level(level).String()] = n
		}
	}
	return out
}

// A node is one run of a gateway. Lag and skew are in milliseconds.
type node struct {
	Name        string  `json:"name"`
	Incarnation string  `json:"incarnation"`
	Known       bool    `json:"known"`
	Batches     uint64  `json:"batches"`
	Events      uint64  `json:"events"`
	Lag         float64 `json:"lag"`
	Skew        float64 `json:"skew"`
	Heard       int64   `json:"heard"`
	// Refused are calls by the level that refused them.
	Refused     map[string]uint64 `json:"refused"`
	RefusedRate float64           `json:"refusedPerSecond"`
	Sharing     *Sharing          `json:"sharing,omitempty"`
}

// stats answers with what the manager has counted of itself.
func (h *Handler) stats(w http.ResponseWriter, _ *http.Request) {
	now := h.now()
	s := h.manager.Stats(now)
	nodes := make([]node, len(s.Nodes))
	for i, n := range s.Nodes {
		nodes[i] = node{
			Name: n.Name, Incarnation: hex(n.Incarnation), Known: n.Known, Batches: n.Batches, Events: n.Events,
			Lag: millis(n.Lag), Skew: millis(n.Skew), Heard: n.Heard.UnixMilli(),
			Refused: refusedByLevel(&s.Nodes[i]), RefusedRate: n.RefusedRate,
			Sharing: ShowSharing(n.Sharing),
		}
	}
	var own *Sharing
	if h.sharing != nil {
		own = ShowSharing(h.sharing(now))
	}
	type counts map[string]uint64
	answer(w, http.StatusOK, struct {
		Manager      string   `json:"manager"`
		Issuer       string   `json:"issuer"`
		Now          int64    `json:"now"`
		Ready        bool     `json:"ready"`
		Shares       string   `json:"shares,omitempty"` // the store of the counters
		Sharing      *Sharing `json:"sharing,omitempty"`
		Events       counts   `json:"events"`
		Requests     uint64   `json:"requests"` // of the events that counted
		Batches      counts   `json:"batches"`
		Restatements uint64   `json:"restatements"`
		UnknownTiers uint64   `json:"unknownTiers"`
		RuleErrors   uint64   `json:"ruleErrors"`
		Decisions    uint64   `json:"decisions"`
		Released     uint64   `json:"released"`
		InForce      int      `json:"inForce"`
		Keys         int      `json:"keys"`
		Nodes        []node   `json:"nodes"`
	}{
		hex(h.manager.ID()), h.manager.Issuer(), now.UnixMilli(), h.manager.Ready(), h.manager.Shares(), own,
		counts{"counted": s.Counted, "late": s.Late, "past": s.Past, "refused": s.Refused, "uncounted": s.Uncounted},
		s.Requests,
		counts{"counted": s.Batches, "asked": s.Asked, "calls": s.Calls, "repeated": s.Repeated, "needless": s.Needless},
		s.Restatements, s.UnknownTiers, s.RuleErrors, s.Decisions, s.Released, s.InForce, s.Keys, nodes,
	})
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
