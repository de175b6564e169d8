// Package gateway is the data plane: it takes a request, finds out who sends it,
// matches it against the policies, decides from memory, and forwards or refuses.
//
//	identify → match → decide → forward or reject
//
// The front doors (http1, http2) receive requests and forward them; all that is
// decided is decided here, so that every protocol is held to the same limits.
package gateway

// A Gateway decides on calls. It is safe for concurrent use.
type Gateway struct{}

// Admit takes x along identify, match and decide. It returns nil if the call is
// to be forwarded, otherwise the answer to send. It must be called once per call.
func (g *Gateway) Admit(x *Exchange) *Answer { return nil }

// Fail returns the answer for a call that the front door could not forward or
// could not parse: status is 400, 408, 413, 414, 431, 501, 502, 503 or 504.
func (g *Gateway) Fail(x *Exchange, status int) *Answer { return nil }

// Finish settles what the call has spent. It must be called once after Admit,
// whatever came of the call.
func (g *Gateway) Finish(x *Exchange, o Outcome) {}
