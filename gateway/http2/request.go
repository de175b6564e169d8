package http2

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/identity"
	"github.com/weir-project/weir/gateway/route"
	"github.com/weir-project/weir/gateway/upstream"
)

// A limits is how large a request's head may be.
type limits struct {
	header int // bytes, as RFC 9113 counts them
	fields int
	uri    int
}

// fault returns the status with which a request is refused before it is looked at
// any further, or 0.
func (l *limits) fault(r *http.Request) int {
	size, fields := len(r.Method)+len(r.RequestURI)+len(r.Host)+4*32, 0
	for name, values := range r.Header {
		fields += len(values)
		for _, value := range values {
			size += len(name) + len(value) + 32
		}
	}
	switch {
	case len(r.RequestURI) > l.uri:
		return http.StatusRequestURITooLong
	case size > l.header || fields > l.fields:
		return http.StatusRequestHeaderFieldsTooLarge
	case r.Method != http.MethodConnect && !strings.HasPrefix(r.RequestURI, "/"):
		return http.StatusBadRequest
	case !validHost(r) || !validLength(r) || !validFields(r.Header):
		return http.StatusBadRequest
	case len(r.Header["Expect"]) > 0: // 100-continue has been taken out
		return http.StatusExpectationFailed
	}
	return 0
}

// validHost reports whether the request names one host, and one that can be.
// net/http leaves a Host field that stands beside the authority.
func validHost(r *http.Request) bool {
	if hosts := r.Header["Host"]; len(hosts) > 1 || len(hosts) == 1 && hosts[0] != r.Host {
		return false
	}
	_, _, err := route.Host(r.Host)
	return err == nil
}

// misdirected reports whether the request names another host than the one for which
// the client set up TLS, whatever the port, the case and a trailing dot.
func misdirected(r *http.Request, server string) bool {
	if server == "" {
		return false
	}
	name, _, err := route.Host(r.Host)
	return err != nil || !strings.EqualFold(name, server)
}

// validLength reports whether the announced length of the body, if there is one,
// is what net/http holds the body to.
func validLength(r *http.Request) bool {
	lengths := r.Header["Content-Length"]
	if len(lengths) == 0 {
		return true
	}
	n, err := strconv.ParseUint(lengths[0], 10, 63) // takes digits only
	return err == nil && len(lengths) == 1 && int64(n) == r.ContentLength
}

// validFields reports whether a head is free of fields that HTTP/2 forbids, also
// of those that a backend may take for one, since it can't tell "_" from "-".
func validFields(fields http.Header) bool {
	for name := range fields {
		if strings.IndexByte(name, '_') >= 0 && identity.StripHeader(name) {
			return false
		}
		switch len(name) {
		case len("Te"):
			if name == "Te" && (len(fields["Te"]) != 1 || fields["Te"][0] != "trailers") {
				return false
			}
		case len("Upgrade"), len("Connection"), len("Proxy-Connection"), len("Transfer-Encoding"), len("Content-Length"):
			if hopByHop(name) || strings.IndexByte(name, '_') > 0 && strings.EqualFold(name, "Content_Length") {
				return false
			}
		}
	}
	return true
}

// hopByHop reports whether name, with "_" for "-" or not, is a field that HTTP/2
// does not have.
func hopByHop(name string) bool {
	switch len(name) {
	case len("Upgrade"):
		return strings.EqualFold(name, "Upgrade")
	case len("Connection"): // and Keep-Alive
		return strings.EqualFold(name, "Connection") || equalName(name, "Keep-Alive")
	case len("Proxy-Connection"):
		return equalName(name, "Proxy-Connection")
	case len("Transfer-Encoding"):
		return equalName(name, "Transfer-Encoding")
	}
	return false
}

// equalName reports whether name is want, with "_" for "-" or not, in any case.
func equalName(name, want string) bool {
	if len(name) != len(want) {
		return false
	}
	for i := range len(want) {
		c := name[i]
		if c == '_' {
			c = '-'
		}
		if lower(c) != lower(want[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// forwardedFields returns the fields that go to the backend: the client's, without
// those that are not meant for it or not to be believed, and ours.
func forwardedFields(r *http.Request, x *gateway.Exchange, grpc bool) http.Header {
	h := make(http.Header, len(r.Header)+6)
	for name, values := range r.Header {
		switch name {
		case "Host", "Content-Length", "Te", "Expect", "Http2-Settings", "Proxy-Authorization", "Proxy-Authenticate":
			continue
		}
		if identity.StripHeader(name) || x.StripHeader != "" && equalName(name, x.StripHeader) {
			continue
		}
		h[name] = values
	}
	own := make([]string, 6)
	set := func(i int, name, value string) {
		own[i] = value
		h[name] = own[i : i+1 : i+1]
	}
	ip := x.Request.ClientIP
	if !ip.IsValid() {
		ip = x.Peer.Addr()
	}
	if ip.IsValid() {
		set(0, "X-Forwarded-For", ip.Unmap().WithZone("").String())
	}
	set(1, "X-Forwarded-Host", x.Host)
	if x.TLS {
		set(2, "X-Forwarded-Proto", "https")
	} else {
		set(2, "X-Forwarded-Proto", "http")
	}
	if grpc {
		set(3, "Te", "trailers")
	}
	if _, ok := h["User-Agent"]; !ok {
		set(4, "User-Agent", "") // or net/http says that it is the client
	}
	set(5, "Via", via(h["Via"]))
	return h
}

// via returns the list of proxies, with this one at its end.
func via(before []string) string {
	const own = "2.0 weir"
	if len(before) == 0 {
		return own
	}
	return strings.Join(before, ", ") + ", " + own
}

// forwardedTrailer returns the names of the trailers that the client announced and
// the backend may see, or nil.
func forwardedTrailer(r *http.Request, x *gateway.Exchange) http.Header {
	var t http.Header
	for name := range r.Trailer {
		if !validTrailer(name) || equalName(name, x.StripHeader) {
			continue
		}
		if t == nil {
			t = make(http.Header, len(r.Trailer))
		}
		t[name] = nil
	}
	return t
}

// validTrailer reports whether a field may come after the body, from a client or
// from a backend: nothing that routes, authenticates or limits may.
func validTrailer(name string) bool {
	if identity.StripHeader(name) || hopByHop(name) {
		return false
	}
	const limits, xLimits = "Ratelimit", "X-Ratelimit"
	if len(name) >= len(limits) && equalName(name[:len(limits)], limits) ||
		len(name) >= len(xLimits) && equalName(name[:len(xLimits)], xLimits) {
		return false
	}
	for _, forbidden := range [...]string{
		"Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "Host", "Content-Length", "Content-Type",
		"Content-Encoding", "Te", "Trailer", "Expect", "Range", "Retry-After", "Location", "Apikey",
	} {
		if equalName(name, forbidden) {
			return false
		}
	}
	return true
}

// targetURL returns the URL of x at t. The path goes as it was decided on: it is
// never decoded.
func targetURL(x *gateway.Exchange, t *upstream.Target) *url.URL {
	path := t.Path + x.ForwardPath
	switch {
	case path == "":
		path = "/"
	case t.Path == "":
		path = strings.Clone(path) // it may share the exchange's memory
	}
	return &url.URL{Scheme: t.Scheme, Host: t.Host, Opaque: path, RawQuery: strings.Clone(x.ForwardQuery)}
}
