package amqp

import (
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// A write to who does not read ends after the wire's patience, or at an earlier
// deadline.
func TestWireWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for deadline, want := range map[time.Duration]time.Duration{0: 5 * time.Second, time.Second: time.Second, time.Minute: 5 * time.Second} {
			near, far := net.Pipe()
			w := newWire(near, 5*time.Second)
			if deadline > 0 {
				if err := w.SetDeadline(time.Now().Add(deadline)); err != nil {
					t.Fatal(err)
				}
			}
			began := time.Now()
			_, err := w.Write([]byte("x"))
			if took := time.Since(began); !errors.Is(err, os.ErrDeadlineExceeded) || took != want {
				t.Errorf("a write with a deadline of %v took %v, want %v: %v", deadline, took, want, err)
			}
			w.Close()
			far.Close()
		}
	})
}
