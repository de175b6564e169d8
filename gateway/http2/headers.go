package http2

import (
	"net/http"
	"strings"

	"github.com/weir-project/weir/gateway"
)

var _ gateway.Headers = (*headers)(nil)

// headers are the fields of a request's head. Looking one up allocates nothing.
type headers struct {
	fields http.Header
	host   string
}

// longestName is the longest name that is looked up by its canonical form
// without searching.
const longestName = 64

// Value implements weir.Values.
func (h *headers) Value(name string) (string, bool) {
	if values := h.find(name); len(values) > 0 {
		return values[0], true
	}
	if h.host != "" && strings.EqualFold(name, "Host") {
		return h.host, true
	}
	return "", false
}

// Each implements gateway.Headers.
func (h *headers) Each(name string, f func(value string) bool) {
	values := h.find(name)
	if len(values) == 0 && h.host != "" && strings.EqualFold(name, "Host") {
		f(h.host)
		return
	}
	for _, value := range values {
		if !f(value) {
			return
		}
	}
}

// find returns the values under name, written in whatever case.
func (h *headers) find(name string) []string {
	if values, ok := h.fields[name]; ok {
		return values
	}
	if len(name) > longestName {
		for key, values := range h.fields {
			if strings.EqualFold(key, name) {
				return values
			}
		}
		return nil
	}
	var buf [longestName]byte
	return h.fields[string(canonical(buf[:0], name))]
}

// canonical appends name as net/http writes names: Like-This.
func canonical(b []byte, name string) []byte {
	upper := true
	for i := range len(name) {
		c := name[i]
		switch {
		case upper && 'a' <= c && c <= 'z':
			c -= 'a' - 'A'
		case !upper && 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		upper = c == '-'
		b = append(b, c)
	}
	return b
}
