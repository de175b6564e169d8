package app

import (
	"context"
	"log/slog"
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
	head    []byte // of a batch
	log     *slog.Logger
	most    int           // bytes that wait
	wake    chan struct{} // something waits; holds one

	counted, dropped atomic.Uint64 // bodies
	faults           rarely

	mu      sync.Mutex
	waiting []event.Body
	bytes   int
}

func newDirect(m *trafficmanager.Manager, node string, most int, log *slog.Logger) *direct {
	return &direct{
		manager: m, log: log, most: most, wake: make(chan struct{}, 1),
		// Nothing gets lost or comes twice within a process, so nobody looks at this;
		// but without it there is no batch.
		head: event.AppendHeader(nil, &event.Header{Node: node, Incarnation: 1, Seq: 1, Sent: time.Unix(1, 0)}),
	}
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

// run has counted what waits until ctx is done, and then what still does.
func (d *direct) run(ctx context.Context) error {
	var dec event.Decoder
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-d.wake:
		}
		for _, body := range d.take() {
			d.count(&dec, body)
		}
	}
	return nil
}

// count counts a body.
func (d *direct) count(dec *event.Decoder, body event.Body) {
	batch := slices.Concat(d.head, body)
	dec.MaxBytes = len(batch)
	var h event.Header
	b := d.manager.Begin(time.Now(), nil)
	refused, err := dec.Decode(batch, &h, func(_ int, e *weir.Event) error { return b.Count(e) })
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
