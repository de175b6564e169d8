package http2

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Why a call was given up. They are the causes of its context.
var (
	errHeadTimeout = errors.New("the backend did not begin its answer in time")
	errQuiet       = errors.New("the backend went quiet within its answer")
	errStalled     = errors.New("the client left the call waiting")
	errTooLarge    = errors.New("the request's body is too large")
	errFinished    = errors.New("the call is over")
)

// A stage is what a call waits for.
type stage int32

const (
	atBackend stage = iota // for the head of the answer
	atBody                 // for the next part of the answer's body
	atClient               // for the client to take a part of it
)

// A watch gives up a call that makes no progress. There is one timer a call,
// which looks at what the call waits for and since when; progress only leaves a
// note of the time.
type watch struct {
	head     time.Duration // for the head of the answer
	stall    time.Duration // for the next part of the request's body
	write    time.Duration // for the client to take some of the answer
	rest     bool          // the client may be silent: gRPC
	cancel   context.CancelCauseFunc
	stream   *http.ResponseController
	received *atomic.Int64 // bytes of the request's body
	began    time.Time

	mu    sync.Mutex
	timer *time.Timer
	ended bool // the stream must not be touched any more

	quiet atomic.Int64 // how long the backend may pause within its answer; 0: as it likes

	// Times are nanoseconds since began.
	stage  atomic.Int32
	since  atomic.Int64 // since when the call is in its stage
	upload atomic.Int64 // since when a part of the body is waited for; 0: it isn't
	moved  atomic.Int64 // when the body last made progress
	waited atomic.Int64 // for the body, in all
}

// run starts the watch. The fields above mu must be set.
func (w *watch) run() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(w.shortest(), w.look)
}

// end stops the watch. It must be called before the call's handler returns.
func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.timer.Stop()
}

// shortest returns after how long to look again at the latest.
func (w *watch) shortest() time.Duration {
	d := min(w.head, w.stall, w.write)
	if quiet := time.Duration(w.quiet.Load()); quiet > 0 {
		d = min(d, quiet)
	}
	return d
}

func (w *watch) now() int64 { return int64(time.Since(w.began)) }

// enter notes what the call waits for from now on.
func (w *watch) enter(s stage) {
	w.since.Store(w.now())
	w.stage.Store(int32(s))
}

// reading and read stand around waiting for a part of the request's body.
func (w *watch) reading() { w.upload.Store(max(1, w.now())) }

func (w *watch) read() {
	now := w.now()
	w.waited.Add(now - w.upload.Load())
	w.moved.Store(now)
	w.upload.Store(0)
}

// look gives the call up, or comes back when it could be time to.
func (w *watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	left, why := w.left(w.now())
	if left > 0 {
		// By then it may wait for something that may take less.
		w.timer.Reset(min(left, w.shortest()))
		return
	}
	w.cancel(why)
	// Whoever waits for the client does not hear of the context.
	past := time.Unix(1, 0)
	w.stream.SetReadDeadline(past)
	if stage(w.stage.Load()) == atClient {
		w.stream.SetWriteDeadline(past)
	}
}

// left returns for how long the call may go on as it is, and what to call it if
// that is over.
func (w *watch) left(now int64) (time.Duration, error) {
	left, why := w.stall, errStalled
	upload := w.upload.Load()
	if upload != 0 && !w.rest {
		left = min(w.stall-time.Duration(now-upload), w.patience()-time.Duration(now-upload))
	}
	take := func(limit time.Duration, since int64, reason error) {
		if l := limit - time.Duration(now-since); l < left {
			left, why = l, reason
		}
	}
	since := w.since.Load()
	switch stage(w.stage.Load()) {
	case atBackend:
		// A backend need not answer what it has not received.
		if upload == 0 {
			take(w.head, max(since, w.moved.Load()), errHeadTimeout)
		}
	case atBody:
		if quiet := time.Duration(w.quiet.Load()); quiet > 0 && upload == 0 {
			take(quiet, since, errQuiet)
		}
	case atClient:
		take(w.write, since, errStalled)
	}
	return left, why
}

// minBodyRate is how many bytes of a body must come in a second, on the whole.
const minBodyRate = 500

// patience returns for how much longer the body may be waited for in all: a client
// that sends a byte now and then is no better than one that sends none.
func (w *watch) patience() time.Duration {
	earned := time.Duration(min(w.received.Load(), 1<<30)) * (time.Second / minBodyRate)
	return w.stall + earned - time.Duration(w.waited.Load())
}
