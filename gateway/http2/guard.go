package http2

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// fairWait is for how long a client must have waited for an answer to give it up at no
// cost. So many calls as may be open are then no flood, and a client whose backend
// hangs has no other way.
const fairWait = time.Second

// maxContinuation is in how many frames a header may come, beyond the first.
const maxContinuation = 32

// errAbuse ends a connection whose budget is spent.
var errAbuse = errors.New("http2: too many frames that are no work")

// readAhead is how much is read from a connection at once, unless more is asked
// for. It is also how far a flood gets before it is waited with (see pending).
const readAhead = 1 << 10

// A guard is a connection under watch: it holds both directions to a budget. It
// hides whether there is TLS below, so that net/http takes it as it is.
type guard struct {
	net.Conn
	peer    netip.AddrPort
	tls     bool
	name    string // for which the client set up TLS; "": it didn't say
	abused  atomic.Bool
	closed  chan struct{}
	once    sync.Once
	budget  *budget
	streams pending
	most    int           // streams that may be open at a time
	patient time.Duration // for how long a head may take

	// Reading; one goroutine at a time.
	in            scanner
	open          bool        // a head's last frame has not begun
	late          *time.Timer // ends the connection with a head that doesn't end; nil: none ever paused
	waiting       bool        // late runs
	continuations int
	buf           [readAhead]byte
	from, to      int
	err           error

	write sync.Mutex
	out   scanner
}

// newGuard returns a guard of conn, on which so many streams may be open at a time,
// and a head may take so long.
func newGuard(conn net.Conn, streams int, patient time.Duration) *guard {
	g := &guard{Conn: conn, closed: make(chan struct{}), budget: newBudget(time.Now())}
	g.streams, g.most, g.patient = newPending(), streams, patient
	g.in.skip = prefaceSize
	if tc, ok := conn.(interface{ ConnectionState() tls.ConnectionState }); ok {
		g.tls, g.name = true, tc.ConnectionState().ServerName
	}
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		g.peer = a.AddrPort()
	} else if a := conn.RemoteAddr(); a != nil {
		g.peer, _ = netip.ParseAddrPort(a.String())
	}
	g.peer = netip.AddrPortFrom(g.peer.Addr().Unmap(), g.peer.Port())
	return g
}

// Read implements net.Conn. It reads ahead, so that a frame does not take two
// system calls, and returns what came before a frame that is one too many.
func (g *guard) Read(p []byte) (int, error) {
	if g.from == g.to {
		if g.err != nil {
			return 0, g.err
		}
		g.streams.wait(g.crowded, g.closed)
		if len(p) >= len(g.buf) {
			n, err := g.Conn.Read(p)
			n, g.err = g.judge(p[:n], err)
			if n > 0 {
				return n, nil
			}
			return 0, g.end()
		}
		n, err := g.Conn.Read(g.buf[:])
		n, g.err = g.judge(g.buf[:n], err)
		g.from, g.to = 0, n
		if n == 0 {
			return 0, g.end()
		}
	}
	n := copy(p, g.buf[g.from:g.to])
	g.from += n
	return n, nil
}

// judge returns how much of p may be read, and the error to return after it.
func (g *guard) judge(p []byte, err error) (int, error) {
	n, ok := g.in.feed(p, g.received)
	if !ok {
		g.abused.Store(true)
		g.goAway()
		return n, errAbuse
	}
	g.hurry()
	return n, err
}

// hurry gives a head that has begun a time by which it must have ended. While it
// lasts nothing else can come, so net/http does not time it: the connection is not
// idle if there are other calls.
func (g *guard) hurry() {
	kind, within := g.in.within()
	begun := g.open || within && (kind == frameHeaders || kind == frameContinuation)
	switch {
	case begun == g.waiting:
		return
	case !begun:
		g.late.Stop()
	case g.late == nil:
		g.late = time.AfterFunc(g.patient, func() {
			g.goAway()
			g.Close()
		})
	default:
		g.late.Reset(g.patient)
	}
	g.waiting = begun
}

// crowded reports whether, were all streams that are pending to be reset, a flood
// would have gone too far already.
func (g *guard) crowded(pending int) bool {
	return pending > 0 && g.budget.owes(g.most+crowd-pending)
}

// end returns the error that ended reading, if it did; a deadline does not.
func (g *guard) end() error {
	err := g.err
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		g.err = nil
	}
	return err
}

func (g *guard) received(f *frame) bool {
	switch f.kind {
	case frameHeaders:
		g.continuations, g.open = 0, f.flags&flagEndHeaders == 0
		g.streams.begun(f.stream)
	case frameRSTStream:
		if g.streams.end(f.stream) >= fairWait {
			return true
		}
	case frameContinuation:
		g.open = f.flags&flagEndHeaders == 0
		if g.continuations++; g.continuations > maxContinuation {
			return false
		}
	}
	return g.budget.received(f.kind, f.flags, f.padding())
}

// Write implements net.Conn.
func (g *guard) Write(p []byte) (int, error) {
	g.write.Lock()
	defer g.write.Unlock()
	g.out.feed(p, g.sent)
	return g.Conn.Write(p)
}

func (g *guard) sent(f *frame) bool {
	g.budget.sent(f.kind, f.length, f.code())
	if f.kind == frameHeaders || f.kind == frameRSTStream {
		g.streams.end(f.stream)
	}
	return true
}

// goAwayFrame says ENHANCE_YOUR_CALM. The last stream is the highest there can be:
// what was begun is lost, but none of it may be repeated for not having been seen.
var goAwayFrame = []byte{0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, codeEnhanceYourCalm}

// goAway tells the client why, if that can be done at once and between frames.
func (g *guard) goAway() {
	if !g.write.TryLock() {
		return
	}
	defer g.write.Unlock()
	if g.out.between() {
		g.Conn.SetWriteDeadline(time.Now().Add(time.Second))
		g.Conn.Write(goAwayFrame)
	}
}

// Close implements net.Conn.
func (g *guard) Close() error {
	err := g.Conn.Close()
	g.once.Do(func() { close(g.closed) })
	return err
}

type guardKey struct{}

// withGuard makes the connection known to its calls.
func withGuard(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, guardKey{}, conn)
}
