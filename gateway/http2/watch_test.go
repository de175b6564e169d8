package http2

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestWatch(t *testing.T) {
	const (
		head  = 30 * time.Second
		quiet = 20 * time.Second
		stall = 60 * time.Second
		write = 40 * time.Second
	)
	for _, tt := range []struct {
		name  string
		rest  bool
		free  bool           // the backend may pause
		call  func(w *watch) // what happens
		want  error
		after time.Duration // at least, from the beginning
	}{
		{"no answer", false, false, func(w *watch) {}, errHeadTimeout, head},
		{"an answer that goes quiet", false, false, func(w *watch) {
			time.Sleep(5 * time.Second)
			w.enter(atBody)
		}, errQuiet, 5*time.Second + quiet},
		{"an answer that may rest", false, true, func(w *watch) { w.enter(atBody) }, nil, 0},
		{"a client that does not take the answer", false, true, func(w *watch) { w.enter(atClient) }, errStalled, write},
		{"a gRPC client that does not take the answer", true, true, func(w *watch) { w.enter(atClient) }, errStalled, write},
		{"a client that does not send its body", false, false, func(w *watch) { w.reading() }, errStalled, stall},
		{"a gRPC client that rests", true, true, func(w *watch) { w.reading() }, nil, 0},
		{"a body that was sent", false, false, func(w *watch) {
			for range 10 {
				w.reading()
				time.Sleep(25 * time.Second)
				w.read()
				w.received.Add(20_000)
			}
		}, errHeadTimeout, 250*time.Second + head},
		{"a body that stops", false, false, func(w *watch) {
			w.reading()
			time.Sleep(25 * time.Second)
			w.read()
			w.received.Add(100_000)
			w.reading()
		}, errStalled, 25*time.Second + stall},
		{"a body that trickles", false, false, func(w *watch) {
			for range 20 {
				w.reading()
				time.Sleep(7 * time.Second)
				w.read()
				w.received.Add(500)
			}
		}, errStalled, 69 * time.Second},
		{"progress", false, false, func(w *watch) {
			for range 20 {
				w.enter(atBody)
				time.Sleep(19 * time.Second)
				w.enter(atClient)
				time.Sleep(19 * time.Second)
			}
		}, errQuiet, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				w := &watch{
					head: head, stall: stall, write: write, rest: tt.rest, cancel: cancel, received: new(atomic.Int64),
					stream: http.NewResponseController(httptest.NewRecorder()), began: time.Now(),
				}
				if !tt.free {
					w.quiet.Store(int64(quiet))
				}
				w.run()
				defer w.end()
				began, took := time.Now(), time.Duration(0)
				defer context.AfterFunc(ctx, func() { took = time.Since(began) })()
				tt.call(w)
				if tt.name == "progress" {
					if ctx.Err() != nil {
						t.Fatal("given up in spite of progress")
					}
					w.enter(atBody)
				}
				select {
				case <-ctx.Done():
				case <-time.After(24 * time.Hour):
				}
				if got := context.Cause(ctx); !errors.Is(got, tt.want) && (got != nil || tt.want != nil) {
					t.Errorf("got %v, want %v", got, tt.want)
				}
				synctest.Wait()
				if tt.want != nil && tt.after > 0 && (took < tt.after || took > tt.after+time.Second) {
					t.Errorf("given up after %v, want %v", took, tt.after)
				}
			})
		})
	}
}

func TestWatchEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watch{head: 1, stall: 1, write: 1, cancel: func(error) { t.Error("given up after its end") }, began: time.Now()}
		w.run()
		w.end()
		w.look() // as a timer would that was already on its way
		synctest.Wait()
	})
}
