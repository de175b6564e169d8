package app

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/limiter"
)

// A Call is a request as somebody describes it who wants to know what would
// become of it.
type Call struct {
	Method string // as a client would send it
	Path   string // as a client would send it, with the API's base path
	Query  string // without "?"
	Host   string // empty means localhost
	Header []HeaderField
	// APIKey and Token, where not empty, are sent where the configuration and
	// the API want them.
	APIKey, Token string
	// Peer is the address from which the call comes.
	Peer netip.Addr
	// BodySize is the size of the body in bytes.
	BodySize int64
}

// A HeaderField is one field of a call's header.
type HeaderField struct{ Name, Value string }

// header is the header of a described call.
type header []HeaderField

// Value returns the first value under name.
func (h header) Value(name string) (string, bool) {
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			return f.Value, true
		}
	}
	return "", false
}

// Each calls f with every value under name.
func (h header) Each(name string, f func(value string) bool) {
	for _, v := range h {
		if strings.EqualFold(v.Name, name) && !f(v.Value) {
			return
		}
	}
}

// Explain tells what a gateway with that configuration and definition, on which
// nobody has called yet, would do with a call at a time. It counts nothing and
// reaches no backend; if the call has a token, the issuers are asked for their keys.
func Explain(ctx context.Context, c config.Config, d gateway.Definition, call Call, now time.Time) (gateway.Explanation, error) {
	with := counting{limiter: newLimiter(&c, nil, limiter.Alone), seed: limiter.NewSeed()}
	k, err := newCore(&c, with, func(string, error) {}) // Load returns what fails
	if err != nil {
		return gateway.Explanation{}, err
	}
	if err := k.gateway.Apply(d); err != nil {
		return gateway.Explanation{}, err
	}
	if call.Token != "" && k.tokens != nil {
		if err := k.tokens.Load(ctx); err != nil {
			return gateway.Explanation{}, fmt.Errorf("load issuers' keys: %w", err)
		}
	}
	h := header(call.Header)
	if call.APIKey != "" {
		h = append(h, HeaderField{c.APIKey.Header, call.APIKey})
	}
	if call.Token != "" {
		h = append(h, tokenField(d.APIs, call.Path, call.Token))
	}
	x := gateway.Exchange{
		Time:          now,
		Method:        call.Method,
		Host:          cmp.Or(call.Host, "localhost"),
		Path:          call.Path,
		RawQuery:      call.Query,
		Peer:          netip.AddrPortFrom(call.Peer, 0),
		Headers:       h,
		ContentLength: call.BodySize,
	}
	return k.gateway.Explain(&x), nil
}

// tokenField returns the field in which the API under path wants its token.
func tokenField(apis []gateway.API, path, token string) HeaderField {
	longest, name := -1, ""
	for i := range apis {
		a := &apis[i]
		if len(a.Context) > longest && (path == a.Context || strings.HasPrefix(path, strings.TrimSuffix(a.Context, "/")+"/")) {
			longest, name = len(a.Context), a.AuthHeader
		}
	}
	if name == "" || strings.EqualFold(name, "Authorization") {
		return HeaderField{"Authorization", "Bearer " + token}
	}
	return HeaderField{name, token}
}
