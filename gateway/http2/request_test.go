package http2

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/upstream"
)

// plain returns a request as net/http hands it over.
func plain() *http.Request {
	return &http.Request{Method: "GET", RequestURI: "/", Host: "weir.test", Header: http.Header{}}
}

const (
	maxHeader = 32 << 10
	maxURI    = 8 << 10
)

var usual = limits{header: maxHeader, fields: 100, uri: maxURI}

func TestFault(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(r *http.Request)
		want   int
	}{
		{"none", func(r *http.Request) {}, 0},
		{"a port", func(r *http.Request) { r.Host = "weir.test:8280" }, 0},
		{"IPv6", func(r *http.Request) { r.Host = "[::1]:8280" }, 0},
		{"100 fields", func(r *http.Request) { r.Header["X"] = make([]string, 100) }, 0},
		{"101 fields", func(r *http.Request) { r.Header["X"] = make([]string, 101) }, 431},
		{"a large field", func(r *http.Request) { r.Header.Set("X", strings.Repeat("x", maxHeader)) }, 431},
		{"a long URI", func(r *http.Request) { r.RequestURI = "/" + strings.Repeat("x", maxURI) }, 414},
		{"no slash", func(r *http.Request) { r.RequestURI = "x" }, 400},
		{"no URI", func(r *http.Request) { r.RequestURI = "" }, 400},
		{"CONNECT", func(r *http.Request) { r.Method, r.RequestURI = "CONNECT", "weir.test:1" }, 0},
		{"no host", func(r *http.Request) { r.Host = "" }, 400},
		{"a bad port", func(r *http.Request) { r.Host = "weir.test:x" }, 400},
		{"the same Host", func(r *http.Request) { r.Header["Host"] = []string{"weir.test"} }, 0},
		{"another Host", func(r *http.Request) { r.Header["Host"] = []string{"Weir.test."} }, 400},
		{"two Hosts", func(r *http.Request) { r.Header["Host"] = []string{"weir.test", "weir.test"} }, 400},
		{"a length", func(r *http.Request) { r.Header["Content-Length"], r.ContentLength = []string{"5"}, 5 }, 0},
		{"another length", func(r *http.Request) { r.Header["Content-Length"], r.ContentLength = []string{"5"}, 0 }, 400},
		{"two lengths", func(r *http.Request) { r.Header["Content-Length"], r.ContentLength = []string{"5", "5"}, 5 }, 400},
		{"an empty length", func(r *http.Request) { r.Header["Content-Length"] = []string{""} }, 400},
		{"a negative length", func(r *http.Request) { r.Header["Content-Length"], r.ContentLength = []string{"-1"}, -1 }, 400},
		{"a hexadecimal length", func(r *http.Request) { r.Header["Content-Length"] = []string{"0x0"} }, 400},
		{"an expectation", func(r *http.Request) { r.Header["Expect"] = []string{"x"} }, 417},
		{"Te: trailers", func(r *http.Request) { r.Header["Te"] = []string{"trailers"} }, 0},
		{"Te: gzip", func(r *http.Request) { r.Header["Te"] = []string{"gzip"} }, 400},
		{"Connection", func(r *http.Request) { r.Header["Connection"] = []string{"x"} }, 400},
		{"Upgrade", func(r *http.Request) { r.Header["Upgrade"] = []string{"x"} }, 400},
		{"Keep_Alive", func(r *http.Request) { r.Header["Keep_alive"] = []string{"x"} }, 400},
		{"Proxy_Connection", func(r *http.Request) { r.Header["Proxy_connection"] = []string{"x"} }, 400},
		{"Transfer_Encoding", func(r *http.Request) { r.Header["Transfer_encoding"] = []string{"x"} }, 400},
		{"Content_Length", func(r *http.Request) { r.Header["Content_length"] = []string{"0"} }, 400},
		{"X_Forwarded_For", func(r *http.Request) { r.Header["X_forwarded_for"] = []string{"1.2.3.4"} }, 400},
	} {
		r := plain()
		tt.change(r)
		if got := usual.fault(r); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestFaultAllocatesNothing(t *testing.T) {
	r := plain()
	for _, name := range []string{"Accept", "Content-Type", "User-Agent", "X-One", "Connexion", "Transfer-Encodinh"} {
		r.Header[name] = []string{"x"}
	}
	if n := testing.AllocsPerRun(100, func() { usual.fault(r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestForwardedFields(t *testing.T) {
	r := plain()
	r.Header = http.Header{
		"Accept": {"a", "b"}, "X-Key": {"secret"}, "X_key": {"secret"}, "Via": {"1.1 a", "1.0 b"}, "Cookie": {"c"}, "Host": {"weir.test"},
		"X-Forwarded-For": {"1.1.1.1"}, "X_forwarded_for": {"1.1.1.1"}, "X-Forwarded-Anything": {"x"}, "X-Real-Ip": {"x"}, "Forwarded": {"x"},
		"X-Http-Method-Override": {"x"}, "Http2-Settings": {"x"}, "Te": {"trailers"}, "Content-Length": {"0"},
	}
	x := &gateway.Exchange{Host: "weir.test", TLS: true, StripHeader: "x-key"}
	x.Request.ClientIP = netip.MustParseAddr("::ffff:192.0.2.1")
	want := http.Header{
		"Accept": {"a", "b"}, "Via": {"1.1 a, 1.0 b, 2.0 weir"}, "Cookie": {"c"}, "User-Agent": {""},
		"X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Host": {"weir.test"}, "X-Forwarded-Proto": {"https"}, "Te": {"trailers"},
	}
	got := forwardedFields(r, x, true)
	for name := range want {
		if strings.Join(got[name], "|") != strings.Join(want[name], "|") {
			t.Errorf("%s: got %q, want %q", name, got[name], want[name])
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("got %q besides", got)
	}
	x = &gateway.Exchange{Host: "weir.test", Peer: netip.MustParseAddrPort("[fe80::1%eth0]:1")}
	r.Header = http.Header{"User-Agent": {"ua"}}
	got = forwardedFields(r, x, false)
	if got.Get("X-Forwarded-For") != "fe80::1" || got.Get("X-Forwarded-Proto") != "http" || got.Get("User-Agent") != "ua" || got["Te"] != nil {
		t.Errorf("got %q", got)
	}
}

func TestValidTrailer(t *testing.T) {
	for name, want := range map[string]bool{
		"Grpc-Status": true, "Grpc-Status-Details-Bin": true, "X-Late": true, "X-Rate": true, "Digest": true,
		"X-Forwarded-For": false, "X_forwarded_for": false, "Forwarded": false, "Authorization": false, "Cookie": false, "Set_cookie": false,
		"X-Ratelimit-Remaining": false, "X_ratelimit_x": false, "Ratelimit": false, "Ratelimit-Policy": false, "Retry-After": false,
		"Transfer-Encoding": false, "Connection": false, "Host": false, "Content-Length": false, "Te": false, "X-Real-Ip": false,
	} {
		if got := validTrailer(name); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

func TestTargetURL(t *testing.T) {
	for _, tt := range []struct{ base, path, query, want string }{
		{"", "/", "", "/"},
		{"", "", "", "/"},
		{"/base", "", "", "/base"},
		{"/base", "/a%2Fb%20c", "q=%20&x", "/base/a%2Fb%20c?q=%20&x"},
		{"", "/a:b;c=1", "?", "/a:b;c=1??"},
	} {
		u := targetURL(&gateway.Exchange{ForwardPath: tt.path, ForwardQuery: tt.query}, &upstream.Target{Scheme: "http", Host: "b:80", Path: tt.base})
		if got := u.RequestURI(); got != tt.want || u.Host != "b:80" || u.Scheme != "http" {
			t.Errorf("%s + %s: got %q, want %q", tt.base, tt.path, got, tt.want)
		}
	}
}

// FuzzGRPCMessage holds that a message is printable and can be had back.
func FuzzGRPCMessage(f *testing.F) {
	f.Add("plain")
	f.Add("50 % ß\n\x00")
	f.Fuzz(func(t *testing.T, text string) {
		got := encodeMessage(text)
		var back []byte
		for i := 0; i < len(got); i++ {
			c := got[i]
			if c < ' ' || c > '~' {
				t.Fatalf("%q has the byte %x", got, c)
			}
			if c == '%' {
				const hex = "0123456789ABCDEF"
				c = byte(strings.IndexByte(hex, got[i+1])<<4 | strings.IndexByte(hex, got[i+2]))
				i += 2
			}
			back = append(back, c)
		}
		if string(back) != text {
			t.Fatalf("%q became %q", text, back)
		}
	})
}
