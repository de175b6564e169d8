package event

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-project/weir"
)

const (
	tenant     = "carbon.super" // the one tenant that there is: WSO2's name for the first
	userTenant = "@" + tenant
)

// What properties may have that is no header, query parameter or claim.
const (
	propertyIP   = "ip"
	propertyIPv6 = "ipv6"
	propertySize = "messageSize"
)

// AppendWSO2 appends e to dst as WSO2's gateways send it, and returns the result:
// the 17 attributes, in their order, and what Weir adds to them where it is not
// what a receiver would think without:
//
//	count               requests, if not 1
//	events              messages on streams, if not as many as requests
//	bytes               of bodies, if negative; else they are a property, as WSO2 has it
//	timestamp           the event's time, in milliseconds since the Unix epoch
//	keyType             SANDBOX
//	applicationName, applicationOwner, token
//	resource, verb      where the policy of the API stands in for that of the resource
//
// Of headers, query parameters and claims it takes those that f names. They share
// one room in WSO2's form: of several with one name the first is told, and none with
// a name that means something there, like ip. Open windows are not told. id
// identifies the event; if it is empty, a random one is made.
func AppendWSO2(dst []byte, id string, f *weir.Fields, e *weir.Event) []byte {
	if id == "" {
		id = newID()
	}
	r := &e.Request
	app := r.Application.ID
	if app == "" && isAnonymous(r) && r.ClientIP.IsValid() {
		app = r.ClientIP.String()
	}
	at := userTenant
	if r.User == anonymous || strings.Contains(r.User, tenant) {
		at = ""
	}
	w := members{dst: append(dst, `{"event":{"metaData":{},"correlationData":{},"payloadData":{`...)}
	w.text("messageID", id)
	w.text("appKey", app, ":", r.User, at)
	w.text("appTier", r.Application.Tier)
	w.text("apiKey", r.Context, ":", r.Version)
	w.text("apiTier", r.APITier)
	w.text("subscriptionKey", app, ":", r.Context, ":", r.Version, ":", r.SubscriptionTier)
	w.text("subscriptionTier", r.SubscriptionTier)
	if hasAPIPolicy(r) {
		w.text("resourceKey", r.Context, ":", r.Version)
		w.text("resourceTier", r.APITier)
	} else {
		w.text("resourceKey", r.Context, "/", r.Version, r.Resource, ":", r.Verb)
		w.text("resourceTier", r.ResourceTier)
	}
	w.text("userId", r.User, at)
	w.text("apiContext", r.Context)
	w.text("apiVersion", r.Version)
	w.text("appTenant", tenant)
	w.text("apiTenant", tenant)
	w.text("appId", app)
	w.text("apiName", r.API)
	var buf [512]byte
	w.text("properties", string(appendProperties(buf[:0], f, e)))
	w.extras(f, e)
	return append(w.dst, "}}}"...)
}

// hasAPIPolicy reports whether the API's policy stands in for the resource's.
func hasAPIPolicy(r *weir.Request) bool { return r.APITier != "" && r.APITier != weir.Unlimited }

// extras appends what Weir adds to WSO2's attributes.
func (w *members) extras(f *weir.Fields, e *weir.Event) {
	r, spent := &e.Request, &e.Spent
	if spent.Requests != 1 {
		w.number("count", spent.Requests)
	}
	if spent.Events != spent.Requests {
		w.number("events", spent.Events)
	}
	if spent.Bytes < 0 {
		w.number("bytes", spent.Bytes)
	}
	if !r.Time.IsZero() {
		w.number("timestamp", r.Time.UnixMilli())
	}
	if r.KeyType != weir.Production {
		w.text("keyType", r.KeyType.String())
	}
	w.some("applicationName", r.Application.Name)
	w.some("applicationOwner", r.Application.Owner)
	if f.Token {
		w.some("token", r.Token)
	}
	if hasAPIPolicy(r) {
		w.some("resource", r.Resource)
		w.some("verb", r.Verb)
	}
}

// appendProperties appends the properties of an event, as JSON.
func appendProperties(dst []byte, f *weir.Fields, e *weir.Event) []byte {
	w := members{dst: append(dst, '{')}
	v4, hi, lo := numbers(e.Request.ClientIP)
	w.number(propertyIP, int64(v4))
	w.name(propertyIPv6)
	w.dst = appendUint128(w.dst, hi, lo)
	if e.Spent.Bytes > 0 {
		w.number(propertySize, e.Spent.Bytes)
	}
	var buf [16]string
	told := append(buf[:0], propertyIP, propertyIPv6, propertySize,
		"applicationName", "subscriptionType", "TOTAL_TOKENS", "PROMPT_TOKENS", "COMPLETION_TOKENS", "reset")
	r := &e.Request
	for i, names := range [...][]string{f.Headers, f.Query, f.Claims} {
		from := [...]weir.Values{r.Headers, r.Query, r.Claims}[i]
		if from == nil {
			continue
		}
		for _, name := range names {
			if v, ok := from.Value(name); ok && !slices.Contains(told, name) {
				told = append(told, name)
				w.text(name, v)
			}
		}
	}
	return append(w.dst, '}')
}

// numbers returns an address as the numbers that WSO2 has for it: that of IPv4, or
// the two halves of that of IPv6. They are zero for the other kind.
func numbers(a netip.Addr) (v4 uint32, hi, lo uint64) {
	switch a = a.Unmap(); {
	case a.Is4():
		b := a.As4()
		v4 = binary.BigEndian.Uint32(b[:])
	case a.Is6():
		b := a.As16()
		hi, lo = binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	}
	return v4, hi, lo
}

// appendUint128 appends hi<<64 + lo in decimal.
func appendUint128(dst []byte, hi, lo uint64) []byte {
	const half = 1e19 // the largest power of ten in 64 bits
	if hi == 0 {
		return strconv.AppendUint(dst, lo, 10)
	}
	q1, r := bits.Div64(0, hi, half)
	q0, low := bits.Div64(r, lo, half)
	dst = appendUint128(dst, q1, q0)
	at := len(dst)
	dst = append(dst, "0000000000000000000"...)
	for i := len(dst) - 1; i >= at; i-- {
		dst[i] += byte(low % 10)
		low /= 10
	}
	return dst
}

// newID returns a random URN.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // which cannot fail
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	dst := append(make([]byte, 0, 45), "urn:uuid:"...)
	from := 0
	for _, to := range [...]int{4, 6, 8, 10, 16} {
		if from > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, b[from:to])
		from = to
	}
	return string(dst)
}

// A members writes the members of an object of JSON.
type members struct {
	dst  []byte
	more bool // there is one already
}

func (w *members) name(name string) {
	if w.more {
		w.dst = append(w.dst, ',')
	}
	w.more = true
	w.dst = append(appendQuoted(w.dst, name), ':')
}

// text writes a text that consists of parts.
func (w *members) text(name string, parts ...string) {
	w.name(name)
	w.dst = append(w.dst, '"')
	for _, p := range parts {
		w.dst = appendEscaped(w.dst, p)
	}
	w.dst = append(w.dst, '"')
}

// some writes a text, if it is not empty.
func (w *members) some(name, s string) {
	if s != "" {
		w.text(name, s)
	}
}

func (w *members) number(name string, n int64) {
	w.name(name)
	w.dst = strconv.AppendInt(w.dst, n, 10)
}
