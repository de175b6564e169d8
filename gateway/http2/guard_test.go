package http2

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	h2 "golang.org/x/net/http2"
)

// pipeGuard returns a guard and the client's end of its connection.
func pipeGuard(t *testing.T) (*guard, net.Conn) {
	a, b := net.Pipe()
	t.Cleanup(func() { a.Close(); b.Close() })
	return newGuard(a, 100, time.Minute), b
}

func TestGuardPassesAll(t *testing.T) {
	stream, _ := sample()
	for _, size := range []int{1, 9, 100, readAhead, 10 * readAhead} {
		g, peer := pipeGuard(t)
		go func() {
			peer.Write(stream)
			peer.Close()
		}()
		var got []byte
		buf := make([]byte, size)
		for {
			n, err := g.Read(buf)
			got = append(got, buf[:n]...)
			if err != nil {
				if err != io.EOF {
					t.Errorf("reads of %d: %v", size, err)
				}
				break
			}
		}
		if !bytes.Equal(got, stream) {
			t.Errorf("reads of %d: got %d bytes, want the %d sent", size, len(got), len(stream))
		}
	}
}

// TestGuardStops wants all before the frame that is too much, then the end, and
// the client told.
func TestGuardStops(t *testing.T) {
	for _, size := range []int{9, 10 * readAhead} {
		g, peer := pipeGuard(t)
		var b bytes.Buffer
		b.WriteString(h2.ClientPreface)
		f := h2.NewFramer(&b, nil)
		for range allowances[control] {
			f.WritePing(false, [8]byte{})
		}
		fine := b.Len()
		for range 10 {
			f.WritePing(false, [8]byte{})
		}
		go peer.Write(b.Bytes())
		away := make(chan h2.ErrCode, 1)
		go func() {
			f, err := h2.NewFramer(nil, peer).ReadFrame()
			if goaway, ok := f.(*h2.GoAwayFrame); ok && err == nil {
				away <- goaway.ErrCode
			}
			close(away)
		}()
		buf, got := make([]byte, size), 0
		for {
			n, err := g.Read(buf)
			got += n
			if err != nil {
				if !errors.Is(err, errAbuse) {
					t.Errorf("reads of %d: got %v", size, err)
				}
				break
			}
		}
		if got != fine || !g.abused.Load() {
			t.Errorf("reads of %d: got %d bytes, want %d", size, got, fine)
		}
		if code := <-away; code != h2.ErrCodeEnhanceYourCalm {
			t.Errorf("the client was told %v", code)
		}
		if _, err := g.Read(buf); !errors.Is(err, errAbuse) {
			t.Errorf("after the end: %v", err)
		}
	}
}

// TestGuardContinuations wants one header in a bounded number of frames.
func TestGuardContinuations(t *testing.T) {
	g, peer := pipeGuard(t)
	go func() {
		var b bytes.Buffer
		b.WriteString(h2.ClientPreface)
		f := h2.NewFramer(&b, nil)
		f.AllowIllegalWrites = true
		for range 3 {
			f.WriteHeaders(h2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte("x")})
			for range maxContinuation {
				f.WriteContinuation(1, false, []byte("x"))
			}
		}
		f.WriteContinuation(1, false, []byte("x"))
		peer.Write(b.Bytes())
		io.Copy(io.Discard, peer)
	}()
	n, err := io.Copy(io.Discard, g)
	if want := int64(prefaceSize + 10*3*(maxContinuation+1)); !errors.Is(err, errAbuse) || n != want {
		t.Errorf("got %d bytes, %v, want %d and the end", n, err, want)
	}
}

// TestGuardDeadline wants a connection to go on after a deadline.
func TestGuardDeadline(t *testing.T) {
	g, peer := pipeGuard(t)
	g.SetReadDeadline(time.Unix(1, 0))
	if _, err := g.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	g.SetReadDeadline(time.Time{})
	go peer.Write([]byte("x"))
	if n, err := g.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
}

func TestGuardClose(t *testing.T) {
	g, _ := pipeGuard(t)
	g.Close()
	g.Close()
	<-g.closed
	if g.peer.IsValid() && g.peer.Port() != 0 || g.tls {
		t.Errorf("a pipe has peer %v, TLS %v", g.peer, g.tls)
	}
}

// An endless connection gives the same bytes again and again.
type endless struct {
	net.Conn
	data []byte
}

func (e endless) Read(p []byte) (int, error)  { return copy(p, e.data), nil }
func (e endless) Write(p []byte) (int, error) { return len(p), nil }

func TestGuardAllocatesNothing(t *testing.T) {
	a, _ := net.Pipe()
	defer a.Close()
	var b bytes.Buffer
	h2.NewFramer(&b, nil).WriteData(1, false, make([]byte, readAhead-frameHeaderSize))
	g := newGuard(a, 100, time.Minute)
	g.in.skip = 0
	g.Conn = endless{a, b.Bytes()}
	buf := make([]byte, 100)
	if n := testing.AllocsPerRun(100, func() {
		g.Read(buf)
		g.Write(b.Bytes())
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestGuardPatience has a client give up all that it may have open, again and again:
// at once that is a flood, after a while it is what clients do whose backend hangs.
func TestGuardPatience(t *testing.T) {
	for _, tt := range []struct {
		pause time.Duration
		want  error
	}{{0, errAbuse}, {fairWait - time.Millisecond, errAbuse}, {fairWait, io.EOF}} {
		synctest.Test(t, func(t *testing.T) {
			g, peer := pipeGuard(t)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				defer peer.Close()
				var b bytes.Buffer
				b.WriteString(h2.ClientPreface)
				f := h2.NewFramer(&b, nil)
				for id, rounds := uint32(1), 0; rounds < 5; id, rounds = id+200, rounds+1 {
					for i := range uint32(100) {
						f.WriteHeaders(h2.HeadersFrameParam{StreamID: id + 2*i, BlockFragment: []byte("x"), EndHeaders: true, EndStream: true})
					}
					peer.Write(b.Bytes())
					b.Reset()
					time.Sleep(tt.pause)
					for i := range uint32(100) {
						f.WriteRSTStream(id+2*i, h2.ErrCodeCancel)
					}
					if _, err := peer.Write(b.Bytes()); err != nil {
						return
					}
					b.Reset()
				}
			}()
			go io.Copy(io.Discard, peer)
			_, err := io.Copy(io.Discard, g)
			if err == nil {
				err = io.EOF
			}
			if g.Close(); !errors.Is(err, tt.want) {
				t.Errorf("given up after %v: got %v, want %v", tt.pause, err, tt.want)
			}
			<-ended
		})
	}
}
