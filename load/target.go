package load

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// A target is where requests go.
type target struct {
	index    int
	address  string
	tls      *tls.Config // nil: plain
	request  []byte      // what is written for each request
	method   string
	schedule schedule
}

func newTarget(o *Options, index int, text string) (*target, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, err
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, fmt.Errorf("target %q is not of the form http://host:port/path", text)
	case u.User != nil:
		return nil, fmt.Errorf("target %q: put credentials into a header field", u.Redacted())
	}
	port := u.Port()
	t := &target{index: index, method: o.Method, schedule: schedule{
		rate: o.Rate, first: int64(index), step: int64(len(o.Targets)), duration: o.Duration,
	}}
	switch {
	case u.Scheme == "http" && port == "":
		port = "80"
	case u.Scheme == "https":
		if port == "" {
			port = "443"
		}
		t.tls = &tls.Config{MinVersion: tls.VersionTLS12}
		if o.TLS != nil {
			t.tls = o.TLS.Clone()
		}
		t.tls.NextProtos = []string{"http/1.1"}
		if t.tls.ServerName == "" {
			t.tls.ServerName = u.Hostname()
		}
		if t.tls.ClientSessionCache == nil {
			t.tls.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		}
	}
	t.address = net.JoinHostPort(u.Hostname(), port)
	t.request, err = writeRequest(o, u)
	return t, err
}

// writeRequest returns the bytes of a request to u.
func writeRequest(o *Options, u *url.URL) ([]byte, error) {
	if !isToken(o.Method) {
		return nil, fmt.Errorf("method %q is none", o.Method)
	}
	host, agent := u.Host, true
	var fields []byte
	for _, f := range o.Header {
		switch name := strings.ToLower(f.Name); {
		case !isToken(f.Name):
			return nil, fmt.Errorf("header field %q: its name is none", f.Name)
		case !isValue(f.Value):
			return nil, fmt.Errorf("header field %s: a control character in its value", f.Name)
		case name == "content-length" || name == "transfer-encoding" || name == "connection" || name == "expect":
			return nil, fmt.Errorf("header field %s follows from the request and can't be set", f.Name)
		case name == "host":
			host = f.Value
			continue
		case name == "user-agent":
			agent = false
		}
		fields = append(fields, f.Name+": "+f.Value+"\r\n"...)
	}
	if host == "" || strings.ContainsAny(host, " \t") {
		return nil, errors.New("the host is empty or has spaces")
	}
	b := []byte(o.Method + " " + u.RequestURI() + " HTTP/1.1\r\nHost: " + host + "\r\n")
	if agent {
		b = append(b, "User-Agent: weir-load\r\n"...)
	}
	b = append(b, fields...)
	if len(o.Body) > 0 || o.Method != "GET" && o.Method != "HEAD" {
		b = append(b, "Content-Length: "+strconv.Itoa(len(o.Body))+"\r\n"...)
	}
	b = append(b, "\r\n"...)
	return append(b, o.Body...), nil
}

// isToken reports whether s can be a method, or the name of a header field.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// isValue reports whether s can be the value of a header field.
func isValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// A schedule says when the requests to one target are due: of all requests, which
// are evenly apart, every step-th beginning with number first.
type schedule struct {
	rate        float64 // of all requests, a second; zero: always
	first, step int64
	duration    time.Duration
	taken       atomic.Int64
}

// next returns when the next request is due, after the start; there is none if
// that is not before the end. It is safe for concurrent use.
func (s *schedule) next() (due time.Duration, ok bool) {
	due = s.at(s.taken.Add(1) - 1)
	return due, due < s.duration
}

// at returns when the n-th request of the target is due, n from 0.
func (s *schedule) at(n int64) time.Duration {
	return time.Duration(float64(s.first+n*s.step) / s.rate * float64(time.Second))
}

// before returns how many requests are due before after.
func (s *schedule) before(after time.Duration) int64 {
	n := max(int64(after.Seconds()*s.rate/float64(s.step))-1, 0)
	for s.at(n) < after {
		n++
	}
	return n
}
