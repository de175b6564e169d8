package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	maxLiveKeys = 200             // that are asked for where the terminal has room for less
	topPatience = 3 * time.Second // for an answer
	maxAnswer   = 8 << 20         // bytes of one
)

// A topWatch asks traffic managers what they see, and gateways what they share.
type topWatch struct {
	managers, gateways []*topNode
	keys               int
}

// A topNode is a node that is asked.
type topNode struct {
	url            string
	name, password string // nothing is sent if there is no name
	absent         string // what it means that there is nothing
	client         http.Client
}

func newTopNode(at string, config *tls.Config) *topNode {
	return &topNode{url: at, absent: "it is no traffic manager", client: http.Client{
		Transport:     &http.Transport{TLSClientConfig: config, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("it redirects") }, // the password is not for others
	}}
}

// The answers of /internal/data/v1/stats and /top, as far as they are shown.
type topStats struct {
	Issuer    string           `json:"issuer"`
	Now       int64            `json:"now"`
	Ready     bool             `json:"ready"`
	Events    map[string]int64 `json:"events"`
	Batches   map[string]int64 `json:"batches"`
	Decisions int64            `json:"decisions"`
	InForce   int64            `json:"inForce"`
	Keys      int64            `json:"keys"`
	Sharing   *topSharing      `json:"sharing"`
	Nodes     []struct {
		Name        string  `json:"name"`
		Incarnation string  `json:"incarnation"`
		Known       bool    `json:"known"`
		Events      int64   `json:"events"`
		Lag         float64 `json:"lag"`
		Skew        float64 `json:"skew"`
		Heard       int64   `json:"heard"`

		Refused     map[string]int64 `json:"refused"`
		RefusedRate float64          `json:"refusedPerSecond"`
		Sharing     *topSharing      `json:"sharing"`
	} `json:"nodes"`
}

type topKeys struct {
	Now  int64 `json:"now"`
	Keys []struct {
		ThrottleKey string  `json:"throttleKey"`
		Key         string  `json:"key"`
		Level       string  `json:"level"`
		Policy      string  `json:"policy"`
		Group       int     `json:"group"`
		Limit       int64   `json:"limit"`
		Unit        string  `json:"unit"`
		Window      string  `json:"window"`
		Shadow      bool    `json:"shadow"`
		Used        int64   `json:"used"`
		Share       float64 `json:"share"`
		Ends        int64   `json:"ends"`
		Throttled   bool    `json:"throttled"`
		Local       bool    `json:"local"`
		Refused     int64   `json:"refused"`
		RefusedRate float64 `json:"refusedPerSecond"`
	} `json:"keys"`
}

// A topView is what top shows. Its JSON form is stable; times are in milliseconds.
type topView struct {
	Time     time.Time    `json:"time"`
	Managers []topMaster  `json:"managers"`
	Gateways []topGateway `json:"gateways"`
	Keys     []topKey     `json:"keys"`
	// Of counters that are shared: the nodes that do so, and the limits. There are none
	// where there is no store.
	Sharing []topSharer `json:"sharing,omitempty"`
	Limits  []topLimit  `json:"limits,omitempty"`
}

type topMaster struct {
	URL       string   `json:"url"`
	Error     string   `json:"error,omitempty"` // why it did not answer; then all that follows is zero
	Issuer    string   `json:"issuer,omitempty"`
	Ready     bool     `json:"ready"`
	Events    int64    `json:"events"` // counted
	Late      int64    `json:"late"`   // not counted, since they came too late
	Wrong     int64    `json:"wrong"`  // refused, since they were malformed
	Batches   int64    `json:"batches"`
	Decisions int64    `json:"decisions"`
	Throttled int64    `json:"throttled"` // keys, now
	Keys      int64    `json:"keys"`
	rate      *float64 // events a second; nil: not known
}

type topGateway struct {
	Name        string  `json:"name"`
	Incarnation string  `json:"incarnation"`
	Known       bool    `json:"known"` // it is counted
	Events      int64   `json:"events"`
	Lag         float64 `json:"lag_ms"`
	Skew        float64 `json:"skew_ms"` // of its clock: below zero, it is ahead
	Silent      float64 `json:"silent_ms"`
	// What it refused since it began, for limits and deny policies: in all and by
	// level; and how many a second of late.
	Refused     int64            `json:"refused"`
	Levels      map[string]int64 `json:"refused_by_level"`
	RefusedRate float64          `json:"refused_per_second"`
	rate        *float64
}

type topKey struct {
	Key       string  `json:"key"`  // as text; two different keys may have the same
	Hash      string  `json:"hash"` // which tells them apart
	Level     string  `json:"level"`
	Policy    string  `json:"policy"`
	Group     *int    `json:"group,omitempty"` // nil: the policy's own limit
	Limit     int64   `json:"limit"`
	Unit      string  `json:"unit"`
	Window    string  `json:"window"`
	Shadow    bool    `json:"shadow,omitempty"`
	Used      int64   `json:"used"`
	Share     float64 `json:"share"` // of the limit
	Throttled bool    `json:"throttled"`
	Left      float64 `json:"left_ms"` // until the window ends, or more may pass
	// Local: no traffic manager counts it, as bursts, backend limits and deny
	// policies; of limit, unit, window, used, share and left_ms nothing is known.
	Local bool `json:"local,omitempty"`
	// What gateways refused because of it: of late, which may be since long if it
	// went on without a minute's pause; and how many a second.
	Refused     int64   `json:"refused"`
	RefusedRate float64 `json:"refused_per_second"`
}

// heat orders keys: by the share that is used, or else by whether they are refused.
func (k *topKey) heat() float64 {
	if k.Local && k.RefusedRate > 0 {
		return 1
	}
	return k.Share
}

// is reports whether two managers speak of the same key.
func (k *topKey) is(o *topKey) bool {
	group := func(g *int) int {
		if g == nil {
			return -1
		}
		return *g
	}
	return k.Hash == o.Hash && k.Level == o.Level && k.Policy == o.Policy && group(k.Group) == group(o.Group) &&
		(!k.Local || k.Key == o.Key)
}

// look asks all nodes at once. Those that don't answer have their error.
func (w *topWatch) look(ctx context.Context) *topView {
	ctx, cancel := context.WithTimeout(ctx, topPatience)
	defer cancel()
	stats := make([]topStats, len(w.managers))
	keys := make([]topKeys, len(w.managers))
	faults := make([]error, len(w.managers))
	answers := make([]topAnswer, len(w.gateways))
	var group sync.WaitGroup
	for i, m := range w.managers {
		group.Go(func() {
			if faults[i] = m.get(ctx, topData+"stats", &stats[i]); faults[i] == nil {
				faults[i] = m.get(ctx, topData+"top?n="+strconv.Itoa(w.keys), &keys[i])
			}
		})
	}
	for i, g := range w.gateways {
		group.Go(func() { answers[i].fault = g.get(ctx, "/sharing", &answers[i]) })
	}
	group.Wait()
	v := &topView{Time: time.Now(), Managers: []topMaster{}, Gateways: []topGateway{}, Keys: []topKey{}}
	for i, m := range w.managers {
		if faults[i] != nil {
			v.Managers = append(v.Managers, topMaster{URL: m.url, Error: faults[i].Error()})
			continue
		}
		v.addManager(m.url, &stats[i])
		v.addKeys(&keys[i])
	}
	for i, g := range w.gateways {
		v.addAnswer(g.url, &answers[i])
	}
	v.addLimits()
	slices.SortStableFunc(v.Gateways, func(a, b topGateway) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortStableFunc(v.Keys, func(a, b topKey) int {
		return cmp.Or(cmp.Compare(b.heat(), a.heat()), cmp.Compare(b.RefusedRate, a.RefusedRate),
			cmp.Compare(b.Used, a.Used), cmp.Compare(a.Key, b.Key))
	})
	v.Keys = v.Keys[:min(len(v.Keys), w.keys)]
	return v
}

// topData is where traffic managers say what they know.
const topData = "/internal/data/v1/"

// get asks a node and reads its answer into v.
func (m *topNode) get(ctx context.Context, what string, v any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, m.url+what, nil)
	if err != nil {
		return err
	}
	if m.name != "" {
		r.SetBasicAuth(m.name, m.password)
	}
	answer, err := m.client.Do(r)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the URL, which is known
		}
		return err
	}
	defer func() { _ = answer.Body.Close() }() // it was read, or is of no use
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("it takes no user %s with this password", m.name)
	case http.StatusNotFound:
		return errors.New(m.absent)
	default:
		return fmt.Errorf("it answers %s", answer.Status)
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(v); err != nil {
		return fmt.Errorf("its answer: %w", err)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<10)) // or the connection is not kept
	return nil
}

// fault returns why there is nothing to show: nobody answered.
func (v *topView) fault() error {
	all, some := v.unsaid()
	if some {
		return nil
	}
	for i := range v.Managers {
		if v.Managers[i].Error == "" {
			return nil
		}
		all = append(all, fmt.Errorf("%s: %s", printable(v.Managers[i].URL), printable(v.Managers[i].Error)))
	}
	return errors.Join(all...)
}

func (v *topView) addManager(at string, s *topStats) {
	v.Managers = append(v.Managers, topMaster{
		URL: at, Issuer: s.Issuer, Ready: s.Ready, Events: s.Events["counted"], Late: s.Events["late"] + s.Events["past"],
		Wrong: s.Events["refused"], Batches: s.Batches["counted"], Decisions: s.Decisions, Throttled: s.InForce, Keys: s.Keys,
	})
	v.addSharer(topSharer{Role: roleManager, Name: at}, s.Sharing)
	for _, n := range s.Nodes {
		v.addSharer(topSharer{Role: roleGateway, Name: n.Name, silent: float64(s.Now - n.Heard)}, n.Sharing)
		g := topGateway{
			Name: n.Name, Incarnation: n.Incarnation, Known: n.Known, Events: n.Events, Lag: n.Lag, Skew: n.Skew,
			Silent: float64(max(s.Now-n.Heard, 0)), Levels: n.Refused, RefusedRate: n.RefusedRate,
		}
		for _, calls := range n.Refused {
			g.Refused += calls
		}
		i := slices.IndexFunc(v.Gateways, func(o topGateway) bool { return o.Incarnation == n.Incarnation })
		if i < 0 {
			v.Gateways = append(v.Gateways, g)
			continue
		}
		// Each manager has all that it tells, or a part.
		o := &v.Gateways[i]
		if g.Silent < o.Silent {
			o.Skew = g.Skew
		}
		o.Known, o.Events = o.Known && g.Known, max(o.Events, g.Events)
		o.Lag, o.Silent = max(o.Lag, g.Lag), min(o.Silent, g.Silent)
		if o.RefusedRate = max(o.RefusedRate, g.RefusedRate); g.Refused > o.Refused {
			o.Refused, o.Levels = g.Refused, g.Levels
		}
	}
}

func (v *topView) addKeys(t *topKeys) {
	for _, u := range t.Keys {
		k := topKey{
			Key: u.ThrottleKey, Hash: u.Key, Level: u.Level, Policy: u.Policy, Limit: u.Limit, Unit: u.Unit, Window: u.Window,
			Shadow: u.Shadow, Used: u.Used, Share: u.Share, Throttled: u.Throttled, Left: float64(max(u.Ends-t.Now, 0)),
			Local: u.Local, Refused: u.Refused, RefusedRate: u.RefusedRate,
		}
		if u.Group >= 0 {
			k.Group = &u.Group
		}
		i := slices.IndexFunc(v.Keys, func(o topKey) bool { return o.is(&k) })
		if i < 0 {
			v.Keys = append(v.Keys, k)
			continue
		}
		// Managers that share counters know the same; of others, one knows more. Each
		// is told all that is refused.
		o := &v.Keys[i]
		throttled, refused, rate := o.Throttled || k.Throttled, max(o.Refused, k.Refused), max(o.RefusedRate, k.RefusedRate)
		if k.Used > o.Used {
			*o = k
		}
		o.Throttled, o.Refused, o.RefusedRate = throttled, refused, rate
	}
}

// since works out how many events a second there were since an earlier view.
func (v *topView) since(was *topView) {
	seconds := v.Time.Sub(was.Time).Seconds()
	rate := func(now, before int64) *float64 {
		if now < before || seconds <= 0 {
			return nil // it was restarted
		}
		r := float64(now-before) / seconds
		return &r
	}
	for i := range v.Managers {
		m := &v.Managers[i]
		j := slices.IndexFunc(was.Managers, func(o topMaster) bool { return o.URL == m.URL && o.Issuer == m.Issuer && o.Error == "" })
		if j >= 0 && m.Error == "" {
			m.rate = rate(m.Events, was.Managers[j].Events)
		}
	}
	for i := range v.Gateways {
		g := &v.Gateways[i]
		j := slices.IndexFunc(was.Gateways, func(o topGateway) bool { return o.Incarnation == g.Incarnation })
		if j >= 0 {
			g.rate = rate(g.Events, was.Gateways[j].Events)
		}
	}
}
