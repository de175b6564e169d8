package gateway

import (
	"net/netip"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/gateway/route"
	"github.com/weir-project/weir/gateway/upstream"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// Headers are the fields of a request's head, as a front door has them.
type Headers interface {
	weir.Values
	// Each calls f with every value under name, in order, until f returns false.
	Each(name string, f func(value string) bool)
}

// An Exchange is one call on its way through the gateway. A front door fills in
// what it received, calls [Gateway.Admit], forwards or answers, and calls
// [Gateway.Finish] once whatever came of it. Exchanges are reused: Reset makes
// one ready for the next call and keeps its buffers.
//
// Strings may share memory with the connection's buffers until Finish returns.
type Exchange struct {
	// What the front door received.

	Time     time.Time // when the head was complete; the clock is read once
	Method   string    // as received
	Host     string
	Path     string // as received, before any "?", not decoded
	RawQuery string
	Peer     netip.AddrPort
	TLS      bool
	Headers  Headers
	// ContentLength is the size of the request's body, -1 if it is not known,
	// 0 if there is none.
	ContentLength int64
	// Upgrade tells that the client asks for a WebSocket.
	Upgrade bool

	// What Admit found. Valid if it returned nil, and as far as it came if not.

	Request weir.Request
	Match   policy.Match
	Ticket  limiter.Ticket

	// Upstream are the backends to choose from, ForwardPath the canonical path
	// to ask them for (still escaped; the target's own path stands before it) and
	// ForwardQuery the query without credentials.
	Upstream     *upstream.Group
	Timeout      time.Duration // up to the head of the backend's answer
	ForwardPath  string
	ForwardQuery string
	// StripHeader is the header that carried the credential: not forwarded.
	// Empty if there was none.
	StripHeader string
	// Fields are to be added to the answer, over any the backend sent under
	// the same name: rate limit fields and CORS.
	Fields []Field

	snapshot *snapshot
	api      *api
	resource *resource // nil for a preflight
	allowed  route.Methods
	query    route.Query
	taken    bool       // Ticket is to be settled or given back
	told     weir.Spent // when it was admitted
	settled  int64      // bytes that were charged as they went
	stripe   uint32     // of the counters, 0 if none was chosen yet
	scratch  *scratch
}

// A Field is one header field of an answer.
type Field struct {
	Name  string
	Value []byte
}

// An Answer is what the gateway itself says: a rejection or a CORS preflight.
// It is valid until the Exchange is reset.
type Answer struct {
	Status      int
	ContentType string // empty if there is no body
	Body        []byte
	Fields      []Field
	// Close tells that the connection must not be used again.
	Close bool
}

// An Outcome is what came of a call, as the front door saw it.
type Outcome struct {
	Status        int   // sent to the client; 0 if none was
	RequestBytes  int64 // of the body, as transferred
	ResponseBytes int64
	// Time is when the call ended; bytes are charged to the window that it is
	// in. The zero time stands for the call's beginning.
	Time time.Time
	// Forwarded tells that a backend was reached. If it was not, the call is
	// not charged.
	Forwarded bool
}

// scratch holds the buffers of one Exchange.
type scratch struct {
	body    []byte // of the answer
	fields  []byte // values of the rate limit fields
	address []byte // the client's address as an application's id
	answer  Answer
	events  policy.Match // of one message on a stream
	memo    memo
}

// Reset makes x ready for the next call. It keeps the buffers.
func (x *Exchange) Reset() {
	m := x.Match
	m.Denied, m.Checks, m.Sources = nil, m.Checks[:0], m.Sources[:0]
	*x = Exchange{Match: m, Fields: x.Fields[:0], stripe: x.stripe, scratch: x.scratch}
}

// begin makes sure that x has buffers.
func (x *Exchange) begin() {
	if x.scratch == nil {
		x.scratch = new(scratch)
	}
}
