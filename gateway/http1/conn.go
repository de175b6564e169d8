package http1

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/listen/socket"
)

// Sizes of a connection's buffers. They grow with what they must hold, and shrink
// when the connection ends.
const (
	inSize  = 4 << 10
	outSize = 4 << 10
	maxKept = 32 << 10
)

// A conn is a client's connection and the call in progress on it.
type conn struct {
	server *Server
	nc     net.Conn
	peer   netip.AddrPort
	secure bool
	name   string // for which the client set up TLS
	probe  socket.Probe
	busy   atomic.Bool // a request has begun

	in   []byte // what has been received
	r, w int    // the part of it that has not been used
	out  []byte // what is to be sent, to either side

	clock   time.Time // when the clock was last read: never more than about a second ago
	readBy  time.Time // deadlines as last set
	writeBy time.Time
	fresh   bool // no request has come yet

	x        gateway.Exchange
	q        request
	p        response
	body     body
	sink     framing       // of the answer in progress, towards the client
	wait     time.Duration // for how long its backend may be silent
	filter   *events       // counts its events; nil if nobody does
	sent     bool          // some of it has been sent
	outcome  gateway.Outcome
	reported int64 // bytes that the meter knows of
	admitted bool  // and not settled yet
	keep     bool  // the connection may serve another request
	lingers  bool  // the client may still be sending when it ends
	spoiled  bool  // there was a panic
	metering sync.Mutex
}

// attach makes c serve nc.
func (c *conn) attach(nc net.Conn) {
	c.nc = nc
	c.name, c.secure = serverName(nc)
	c.peer = netip.AddrPort{}
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		ap := a.AddrPort()
		c.peer = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	c.probe.Attach(nc)
	c.busy.Store(false)
	c.r, c.w = 0, 0
	c.clock = time.Now()
	c.readBy, c.writeBy = time.Time{}, time.Time{}
	c.fresh, c.keep, c.admitted, c.lingers = true, true, false, false
}

// detach makes c forget its connection and what came over it.
func (c *conn) detach() {
	c.nc = nil
	c.probe.Detach()
	c.x.Reset()
	c.q.reset()
	c.p.reset()
	c.body.reset()
	c.r, c.w = 0, 0
	c.shrink()
}

// shrink gives up buffers that have grown too large to be kept for the next call.
func (c *conn) shrink() {
	if len(c.in) > maxKept && c.r == c.w {
		c.in, c.r, c.w = make([]byte, inSize), 0, 0
	}
	if cap(c.out) > maxKept {
		c.out = make([]byte, 0, outSize)
	}
}

// serve serves requests until the connection is to be closed.
func (c *conn) serve() {
	for c.keep {
		status, err := c.readHead()
		if err != nil {
			return
		}
		c.begin()
		if status == 0 {
			status = c.check()
		}
		if status != 0 {
			c.refuse(status)
			break
		}
		c.handle()
		if c.r == c.w {
			c.r, c.w = 0, 0
		}
		c.shrink()
		c.busy.Store(false)
		c.fresh = false
		runtime.Gosched() // as after a request to a backend
	}
	if c.lingers {
		c.linger()
	}
}

// errDraining ends a connection that waits for a request while the server stops.
var errDraining = errors.New("server is stopping")

// readHead reads the next request's head. It returns an error if there is nobody
// left to answer, otherwise the status for what is wrong, if anything.
func (c *conn) readHead() (int, error) {
	c.q.reset()
	o := &c.server.options
	by, slack := c.clock.Add(o.IdleTimeout), o.IdleTimeout/2
	if c.fresh {
		by, slack = c.clock.Add(o.ReadHeaderTimeout), 0
	}
	begun := false
	for {
		if c.w > c.r {
			c.busy.Store(true)
			done, status := c.q.parse(c.in[c.r:c.w], &c.server.limits)
			if done || status != 0 {
				c.clock = time.Now()
				return status, nil
			}
			if !begun {
				begun = true
				by, slack = time.Now().Add(o.ReadHeaderTimeout), 0
			}
		}
		c.room()
		n, err := c.read(c.in[c.w:], by, slack)
		c.w += n
		if err != nil {
			if begun && errors.Is(err, os.ErrDeadlineExceeded) {
				c.clock = time.Now()
				return http.StatusRequestTimeout, nil
			}
			return 0, err
		}
	}
}

// room makes room to read more. It may move what has been received, so it must not
// be called while a request is in progress.
func (c *conn) room() {
	if c.w < len(c.in) {
		return
	}
	if c.r > 0 {
		c.w = copy(c.in, c.in[c.r:c.w])
		c.r = 0
		return
	}
	c.grow(2 * len(c.in))
}

// grow makes c.in hold n bytes. What refers to the old buffer stays valid.
func (c *conn) grow(n int) {
	if n > len(c.in) {
		in := make([]byte, n)
		copy(in, c.in[:c.w])
		c.in = in
	}
}

// read reads from the client until by. The deadline of the connection may be up
// to slack earlier: it is set as seldom as that allows.
func (c *conn) read(b []byte, by time.Time, slack time.Duration) (int, error) {
	for {
		if c.readBy.After(by) || c.readBy.Before(by.Add(-slack)) {
			c.readBy = by
			_ = c.nc.SetReadDeadline(by) // fails on a closed connection, as will the read
		}
		if c.stopped() {
			return 0, errDraining
		}
		n, err := c.nc.Read(b)
		if n > 0 {
			return n, nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(by) || c.stopped() {
			return 0, err
		}
		c.readBy = time.Time{} // passed before its time
	}
}

// stopped reports whether somebody wants c to stop reading: the server, between
// requests, or the call whose body is read.
func (c *conn) stopped() bool {
	if c.busy.Load() {
		return c.body.stop.Load()
	}
	return c.server.draining.Load()
}

// write sends b to the client. A client that takes less than the least rate of
// bodies is given up.
func (c *conn) write(b []byte) error {
	o := &c.server.options
	for {
		by := c.clock.Add(o.WriteTimeout)
		if c.writeBy.Before(by.Add(-o.WriteTimeout / 2)) {
			c.writeBy = by
			_ = c.nc.SetWriteDeadline(by)
		}
		n, err := c.nc.Write(b)
		if err == nil {
			return nil
		}
		if c.secure || !errors.Is(err, os.ErrDeadlineExceeded) || int64(n) < max(1, o.MinBodyRate*int64(o.WriteTimeout/(2*time.Second))) {
			return err // over TLS, a write that was cut off can't go on
		}
		b = b[n:]
		c.clock = time.Now()
		c.writeBy = time.Time{}
	}
}

// gone reports whether the client has closed the connection.
func (c *conn) gone() bool { return c.probe.Look() == socket.Ended }

// begin makes ready for the call whose head has been read.
func (c *conn) begin() {
	x := &c.x
	x.Reset()
	x.Time, x.Peer, x.TLS = c.clock, c.peer, c.secure
	c.outcome = gateway.Outcome{}
	c.reported = 0
	c.body.reset()
}

// check fills in the Exchange, and returns the status for a request that is
// refused before anybody decides on it, or 0.
func (c *conn) check() int {
	q, x := &c.q, &c.x
	x.Method, x.Path, x.RawQuery = q.text(q.method), q.text(q.path), q.text(q.query)
	if q.hostField >= 0 {
		x.Host = q.text(q.fields[q.hostField].value)
	}
	x.Headers = &q.head
	x.ContentLength = q.length
	x.Upgrade = q.wantsSocket()
	c.r += q.pos
	// What follows a request for a WebSocket may be meant for the WebSocket: if
	// none comes of it, it must not be read as a request.
	c.keep = !q.close && !x.Upgrade
	c.body.begin(c)
	o := &c.server.options
	switch {
	case o.MaxBody > 0 && q.length > o.MaxBody:
		return http.StatusRequestEntityTooLarge
	case c.name != "" && !o.AnyHost && !sameHost(x.Host, c.name):
		return http.StatusMisdirectedRequest
	}
	return 0
}

// handle takes one call along the pipeline.
func (c *conn) handle() {
	p := c.server.options.Pipeline
	c.admitted = true
	if a := p.Admit(&c.x); a != nil {
		c.answer(a)
	} else {
		c.forward()
	}
	c.settle()
	c.body.leave()
}

// settle tells the pipeline what came of the call, once.
func (c *conn) settle() {
	if c.admitted {
		c.admitted = false
		c.outcome.RequestBytes = c.body.received.Load()
		c.outcome.Time = c.clock
		c.server.options.Pipeline.Finish(&c.x, c.outcome)
	}
}

// report tells the meter what has passed so far, if it is worth telling.
func (c *conn) report(least int64) {
	if c.server.meter == nil {
		return
	}
	c.outcome.RequestBytes = c.body.received.Load()
	total := c.outcome.RequestBytes + c.outcome.ResponseBytes
	if total-c.reported >= least {
		c.reported = total
		c.metering.Lock()
		defer c.metering.Unlock()
		c.server.meter.Progress(&c.x, c.clock, c.outcome)
	}
}
