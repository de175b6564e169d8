package event

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"unicode/utf8"

	"github.com/weir-project/weir"
)

const (
	// MaxText is how many bytes a text of an event has at most: names, and values
	// of headers, query parameters and claims. What is longer is cut when it is
	// encoded, and refused when it is decoded.
	MaxText = 4 << 10
	// MaxValues is how many headers an event has at most; as many query
	// parameters, and as many claims. What goes beyond is left out when it is
	// encoded, and refused when it is decoded.
	MaxValues = 64

	// maxValuesSize bounds the values of a call, in bytes: it is what a gateway
	// takes of heads unless told otherwise.
	maxValuesSize = 32 << 10

	anonymous = "anonymous" // the user of calls without credentials
)

// textFields is how many texts an event may have besides values. Their order is
// that of the fields in event.proto.
const textFields = 14

// text returns one of the texts of a call, and what it is called in errors.
func text(r *weir.Request, n uint64) (*string, string) {
	switch n {
	case 0:
		return &r.Context, "context"
	case 1:
		return &r.Version, "version"
	case 2:
		return &r.Resource, "resource"
	case 3:
		return &r.Verb, "verb"
	case 4:
		return &r.API, "API"
	case 5:
		return &r.Application.ID, "application"
	case 6:
		return &r.User, "user"
	case 7:
		return &r.SubscriptionTier, "subscription tier"
	case 8:
		return &r.Application.Tier, "application tier"
	case 9:
		return &r.ResourceTier, "resource tier"
	case 10:
		return &r.Application.Name, "application's name"
	case 11:
		return &r.Application.Owner, "application's owner"
	case 12:
		return &r.APITier, "API tier"
	default:
		return &r.Token, "token"
	}
}

const tokenText = 13

// isAnonymous reports whether a call is counted by its client's address. It is
// what package policy says.
func isAnonymous(r *weir.Request) bool {
	a := &r.Application
	return a.Name == "" && a.Owner == "" && r.User == anonymous
}

// AppendRequest appends to dst what an event tells of a call, besides its Time, and
// returns the result. It is everything that every event has, the address of an
// anonymous call, and what f names. The bytes are for the process that made them,
// to be kept and compared: calls that an event tells the same of have the same
// bytes. See [Encoder.RequestOf] and [ParseRequest].
//
// Of texts longer than [MaxText] it takes the beginning; of values it takes as many
// as fit into 32 KiB, and [MaxValues] of a kind.
func AppendRequest(dst []byte, f *weir.Fields, r *weir.Request) []byte {
	for n := range uint64(textFields) {
		s, _ := text(r, n)
		if n == tokenText && !f.Token {
			dst = append(dst, 0)
			continue
		}
		dst = appendString(dst, cut(*s, MaxText))
	}
	dst = append(dst, byte(r.KeyType))
	if f.ClientIP || isAnonymous(r) {
		dst = appendAddress(dst, r.ClientIP)
	} else {
		dst = append(dst, 0)
	}
	left := maxValuesSize
	dst = appendValues(dst, &left, f.Headers, r.Headers)
	dst = appendValues(dst, &left, f.Query, r.Query)
	return appendValues(dst, &left, f.Claims, r.Claims)
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendAddress(dst []byte, a netip.Addr) []byte {
	switch {
	case a.Is4():
		b := a.As4()
		return append(append(dst, 4), b[:]...)
	case a.Is6():
		b := a.As16()
		return append(append(dst, 16), b[:]...)
	}
	return append(dst, 0)
}

// appendValues appends those of names that there are in from: how many, and a name
// and a value for each.
func appendValues(dst []byte, left *int, names []string, from weir.Values) []byte {
	at := len(dst)
	dst = append(dst, 0)
	if from == nil {
		return dst
	}
	for _, name := range names {
		v, ok := from.Value(name)
		if !ok {
			continue
		}
		name, v = cut(name, MaxText), v[:min(len(v), MaxText)]
		if *left -= len(name) + len(v); *left < 0 || dst[at] == MaxValues {
			break
		}
		dst = appendString(appendString(dst, name), v)
		dst[at]++
	}
	return dst
}

// cut returns the beginning of s, up to the end of a character, in at most so many
// bytes.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// clip returns cut of s with U+FFFD for what is no UTF-8.
func clip(s string, most int) string {
	if s = cut(s, most); !utf8.ValidString(s) {
		s = cut(strings.ToValidUTF8(s, "\uFFFD"), most)
	}
	return s
}

var errRequest = errors.New("request: it is not as AppendRequest makes it")

// parts are what AppendRequest wrote.
type parts struct {
	texts   [textFields][]byte
	keyType byte
	address []byte
	lists   [3]pairs // headers, query, claims
}

// pairs are names and values, one after the other, that have been looked at.
type pairs struct {
	n int // of pairs
	p []byte
}

// split finds the parts of p, and reports whether it is whole.
func (s *parts) split(p []byte) (ok bool) {
	for n := range s.texts {
		if s.texts[n], p, ok = cutString(p); !ok {
			return false
		}
	}
	if len(p) == 0 {
		return false
	}
	s.keyType, p = p[0], p[1:]
	if s.address, p, ok = cutString(p); !ok || len(s.address) != 0 && len(s.address) != 4 && len(s.address) != 16 {
		return false
	}
	for i := range s.lists {
		if len(p) == 0 || p[0] > MaxValues {
			return false
		}
		n, rest := int(p[0]), p[1:]
		s.lists[i] = pairs{n, rest}
		for range 2 * n {
			if _, rest, ok = cutString(rest); !ok {
				return false
			}
		}
		p = rest
	}
	return len(p) == 0
}

// cutString returns the text at the beginning of p, and the rest.
func cutString(p []byte) (s, rest []byte, ok bool) {
	n, size := binary.Uvarint(p)
	if size <= 0 || n > MaxText || n > uint64(len(p)-size) {
		return nil, nil, false
	}
	p = p[size:]
	return p[:n], p[n:], true
}

// next returns the first of the texts, and moves on.
func (p *pairs) next() []byte {
	s, rest, _ := cutString(p.p)
	p.p = rest
	return s
}

// ParseRequest makes r the call of which [AppendRequest] made p, without its time.
// It keeps nothing of p. It is an error if p is not as AppendRequest makes it.
func ParseRequest(p []byte, r *weir.Request) error {
	var s parts
	if !s.split(p) {
		return errRequest
	}
	*r = weir.Request{KeyType: weir.KeyType(s.keyType)}
	for n := range uint64(textFields) {
		to, _ := text(r, n)
		*to = string(s.texts[n])
	}
	r.ClientIP, _ = netip.AddrFromSlice(s.address)
	for i, to := range []*weir.Values{&r.Headers, &r.Query, &r.Claims} {
		if s.lists[i].n == 0 {
			continue
		}
		l := &values{fold: to == &r.Headers}
		for range s.lists[i].n {
			l.add(string(s.lists[i].next()), string(s.lists[i].next()))
		}
		*to = l
	}
	return nil
}
