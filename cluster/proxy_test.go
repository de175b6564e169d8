package cluster_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/weir-project/weir/cluster"
)

// TestProxy passes on what is said, late or not at all if that is asked for, and
// leaves nothing when it is closed.
func TestProxy(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	echoes := make(chan struct{})
	go func() {
		defer close(echoes)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.Copy(c, c)
	}()
	p, err := cluster.NewProxy(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", p.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	say := func() (took time.Duration, ok bool) {
		began := time.Now()
		_ = c.SetDeadline(began.Add(300 * time.Millisecond))
		if _, err := c.Write([]byte("x")); err != nil {
			return 0, false
		}
		_, err := io.ReadFull(c, make([]byte, 1))
		return time.Since(began), err == nil
	}
	if _, ok := say(); !ok {
		t.Error("nothing passes")
	}
	p.Delay(100 * time.Millisecond)
	if took, ok := say(); !ok || took < 100*time.Millisecond {
		t.Errorf("got %t after %v, want it after 100 ms", ok, took)
	}
	p.Delay(0)
	p.Swallow(true)
	if _, ok := say(); ok {
		t.Error("what is to be swallowed passes")
	}
	p.Swallow(false)
	if _, ok := say(); !ok {
		t.Error("nothing passes any more")
	}
	p.Close()
	<-echoes
	if _, ok := say(); ok {
		t.Error("a closed proxy passes something on")
	}
}
