package http2

import (
	"context"
	"net"
	"net/http/httptrace"
	"testing"
	"time"
)

// TestSettle holds a request back from a kept connection until somebody waits for what
// comes on it, or it is at its end, or nobody waits for the request any more.
func TestSettle(t *testing.T) {
	for _, tt := range []struct {
		name   string
		reused bool
		shared bool
		end    func(k *kept, cancel func()) // nil: it is not held back
	}{
		{"a new one", false, false, nil},
		{"one for many requests", true, true, nil},
		{"its reader has seen all", true, false, func(k *kept, _ func()) { go k.Read(make([]byte, 1)) }},
		{"its reader has ended it", true, false, func(k *kept, _ func()) { _ = k.Close() }},
		{"the client has gone", true, false, func(_ *kept, cancel func()) { cancel() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			near, far := net.Pipe()
			defer far.Close()
			k := &kept{Conn: near, shared: tt.shared}
			defer k.Close()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan struct{})
			go func() {
				settle(ctx)(httptrace.GotConnInfo{Conn: k, Reused: tt.reused})
				close(done)
			}()
			if tt.end != nil {
				select {
				case <-done:
					t.Fatal("it was not held back")
				case <-time.After(20 * time.Millisecond):
				}
				tt.end(k, cancel)
			}
			select {
			case <-done:
			case <-time.After(10 * time.Second):
				t.Fatal("it is held back")
			}
		})
	}
}
