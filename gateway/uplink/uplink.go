// Package uplink is the gateway's side of its traffic managers. It sends them the
// events that the gateway counted, and brings back the decisions that stand in
// their answers.
//
// # What is promised
//
// Events never waits and never fails. Each manager has a queue, a goroutine and a
// connection of its own: one that hangs, lies or is gone delays neither the others
// nor the gateway. Memory is bounded by [Options.QueueBytes] and
// [Options.QueueAge], beside it by restatements on their way, one for each manager
// that answers, each as large as the gateway's ledger.
//
// A batch is sent with the same number until it is answered, so a manager counts it
// once (see package event). What had to be dropped while a manager was away is
// counted; what it says of windows that are still open is told afterwards in a
// restatement. So a manager that is back knows all that matters.
//
// # Groups
//
// Each group gets every event. Within a group, managers that don't share their
// counters each get every event, too, since otherwise their limits would multiply;
// this is warned of once. Managers that say that they share their counters through
// the same store sit together as one, and each event goes to one of them: in turn,
// or to the first that is up.
//
// When such a manager dies, what waits for it goes to another. A batch on its way
// goes along if no connection could be made, and otherwise after two calls without
// an answer; if it had been counted, it is then counted twice. What it counted and
// had not yet put into the store dies with it. What was dropped because all of them
// were away stays dropped. All this errs by single batches, once for each crash.
package uplink

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-project/weir/event"
)

// An Uplink tells traffic managers what one gateway counted. It is made by [New]
// and safe for concurrent use, except that Events is called by one goroutine at a
// time and Run once.
type Uplink struct {
	options Options
	groups  []*group
	ups     atomic.Int32 // managers that answered the last call
	handing sync.Mutex   // held while all that an issuer decided is handed on

	mu     sync.Mutex
	runs   map[uint64]claim // of managers; one for each link at most
	warned bool             // that groups share
}

// New returns an Uplink that does nothing until it is run, or says in one line what
// is wrong with the options. Nothing needs to be up.
func New(o Options) (*Uplink, error) {
	o, groups, err := o.complete()
	if err != nil {
		return nil, err
	}
	u := &Uplink{options: o, runs: make(map[uint64]claim)}
	all := 0
	for _, addresses := range groups {
		all += len(addresses)
	}
	for i, addresses := range groups {
		g := &group{number: i + 1, typ: o.Groups[i].Type}
		for _, a := range addresses {
			g.links = append(g.links, newLink(u, g, a, o.QueueBytes/all))
		}
		u.groups = append(u.groups, g)
	}
	return u, nil
}

// Run tells managers what Events takes, until ctx is done; and then for as long as
// [Options.Linger] says what still waits for managers that answer. It returns nil
// once all that it started has ended.
func (u *Uplink) Run(ctx context.Context) error {
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var all sync.WaitGroup
	for _, g := range u.groups {
		for _, l := range g.links {
			all.Go(func() { l.run(ctx, hard) })
		}
	}
	ended := make(chan struct{})
	go func() {
		all.Wait()
		close(ended)
	}()
	select {
	case <-ctx.Done():
	case <-ended:
	}
	linger := time.NewTimer(u.options.Linger)
	defer linger.Stop()
	select {
	case <-ended:
	case <-linger.C:
		cancel()
		<-ended
	}
	return nil
}

// Events takes the encoded events of accepted calls since the last time; n is one
// more with each. It does not wait, and keeps body, which nobody may change.
func (u *Uplink) Events(n uint64, body event.Body) {
	if len(body) == 0 {
		return
	}
	e := entry{n: n, at: time.Now(), events: count(body), body: body}
	for _, g := range u.groups {
		g.push(e)
	}
}

// Away reports whether no manager answers. It is cheap, and safe for concurrent use.
// Before the first answer it is true; a manager that hangs is noticed by the end of
// a call ([Options.Timeout]).
func (u *Uplink) Away() bool { return u.ups.Load() == 0 }

// Skew returns by how much the clock of a manager is ahead of ours, and whether it
// is known; issuer is its name in decisions. The error is at most half of the
// shortest round trip of late. It is known from the first answer of a run until ten
// seconds after another took its place.
func (u *Uplink) Skew(issuer string) (time.Duration, bool) {
	now := u.options.Now()
	for _, g := range u.groups {
		g.mu.Lock()
		for _, l := range g.links {
			if c := l.clockOf(issuer); c != nil {
				ahead, ok := c.ahead(now)
				g.mu.Unlock()
				return ahead, ok
			}
		}
		g.mu.Unlock()
	}
	return 0, false
}

// A claim is which link tells a run of a manager: one only, even if several URLs
// lead there, since what an incarnation tells it has one row of numbers.
type claim struct {
	by   *link  // that tells it, or told it last
	held bool   // by tells it
	seq  uint64 // of what was told last, if nobody does
}

// claim reports whether l is the one that tells a run which answered it. It then
// goes on with the numbers of the one before.
func (u *Uplink) claim(l *link, run uint64) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	c, ok := u.runs[run]
	switch {
	case ok && c.by == l && c.held:
		return true
	case ok && c.held:
		return false
	case ok:
		l.seq = max(l.seq, c.seq)
	}
	maps.DeleteFunc(u.runs, func(_ uint64, c claim) bool { return c.by == l })
	u.runs[run] = claim{by: l, held: true}
	return true
}

// release lets others tell the run that l told.
func (u *Uplink) release(l *link) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for run, c := range u.runs {
		if c.by == l && c.held {
			u.runs[run] = claim{by: l, seq: l.seq}
		}
	}
}

// warn says once if a manager shares its counters with one of another group: both
// are told every event, which then counts twice.
func (u *Uplink) warn(l *link, seat string) {
	if seat == "" {
		return
	}
	for _, g := range u.groups {
		if g == l.group {
			continue
		}
		g.mu.Lock()
		there := g.firstOf(seat) >= 0
		g.mu.Unlock()
		if !there {
			continue
		}
		u.mu.Lock()
		said := u.warned
		u.warned = true
		u.mu.Unlock()
		if !said {
			u.options.Log.Warn("traffic managers of two groups share their counters, so every event counts twice; put them into one group",
				"group", l.group.number, "other_group", g.number, "store", seat)
		}
	}
}
