package app

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/trafficmanager"
)

// A direct is the way of events from a gateway to the traffic manager of the same
// process. It implements gateway.Told.
type direct struct {
	manager *trafficmanager.Manager
	head    event.Header // of each batch
	encoded []byte       // the same
	refused func(time.Time) *event.RefusedCalls
	sharing func(time.Time) *event.Sharing // nil: the gateway shares no counters
	ahead   func() time.Duration           // by how much the manager's clock is
	log     *slog.Logger
	most    int           // bytes that wait
	wake    chan struct{} // something waits; holds one

	counted, dropped atomic.Uint64 // bodies
	faults           rarely

	mu      sync.Mutex
	waiting []event.Body
	bytes   int
}

// newDirect returns the way of a gateway that is called node; refused says what it
// refused, and most is how many bytes may wait.
func newDirect(m *trafficmanager.Manager, node string, refused func(time.Time) *event.RefusedCalls, most int, log *slog.Logger) *direct {
	d := &direct{
		manager: m, refused: refused, log: log, most: most, wake: make(chan struct{}, 1),
		ahead: func() time.Duration { return 0 },
		// Nothing gets lost or comes twice within a process, so nobody looks at Seq;
		// but without it there is no batch.
		head: event.Header{Node: node, Incarnation: rand.Uint64() | 1, Seq: 1, Sent: time.Unix(1, 0)},
	}
	d.encoded = event.AppendHeader(nil, &d.head)
	return d
}

// Events implements gateway.Told.
func (d *direct) Events(_ uint64, body event.Body) {
	if len(body) == 0 {
		return
	}
	d.mu.Lock()
	d.waiting = append(d.waiting, body)
	d.bytes += len(body)
	for d.bytes > d.most && len(d.waiting) > 1 {
		d.bytes -= len(d.waiting[0])
		d.waiting[0] = nil
		d.waiting = d.waiting[1:]
		d.dropped.Add(1)
	}
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

func (d *direct) take() []event.Body {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := d.waiting
	d.waiting, d.bytes = nil, 0
	return all
}

// littleAhead is by how much the manager's clock may differ without anything being done
// about events: those of a window are told as such.
const littleAhead = 250 * time.Millisecond

// sayEvery is how often the traffic manager is told what the gateway refused.
const sayEvery = time.Second

// run has counted what waits until ctx is done, and then what still does.
func (d *direct) run(ctx context.Context) error {
	var dec event.Decoder
	say := time.NewTicker(sayEvery)
	defer say.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-d.wake:
		case now := <-say.C:
			d.say(now)
		}
		for _, body := range d.take() {
			d.count(&dec, body)
		}
	}
	return nil
}

// say tells how the gateway stands.
func (d *direct) say(now time.Time) {
	h := d.head
	if d.sharing != nil {
		h.Sharing = d.sharing(now)
	}
	now = now.Add(d.ahead())
	h.Sent, h.Refused = now, d.refused(now)
	d.manager.HearLocal(now, &h)
}

// count counts a body.
func (d *direct) count(dec *event.Decoder, body event.Body) {
	batch := slices.Concat(d.encoded, body)
	dec.MaxBytes = len(batch)
	var h event.Header
	ahead := d.ahead()
	b := d.manager.BeginLocal(time.Now().Add(ahead), &d.head)
	refused, err := dec.Decode(batch, &h, func(_ int, e *weir.Event) error {
		if ahead.Abs() > littleAhead && !e.Request.Time.IsZero() {
			e.Request.Time = e.Request.Time.Add(ahead)
		}
		return b.Count(e)
	})
	b.Refuse(len(refused))
	b.End(nil)
	d.counted.Add(1)
	if err == nil && len(refused) == 0 {
		return
	}
	if n := d.faults.add(time.Now()); n > 0 {
		d.log.Error("events of the gateway could not be counted", "batches", n, "refused", len(refused), "error", err)
	}
}
