package http2

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/weir-project/weir/gateway"
)

// TestMalformed sends single requests that HTTP/2 forbids, or that mean two things.
func TestMalformed(t *testing.T) {
	url := backend(t, func(w http.ResponseWriter, r *http.Request) {})
	p := &pipeline{}
	d := open(t, p, Options{}, url)
	for _, tt := range []struct {
		name  string
		pairs []string
		want  string // status, or "reset"
	}{
		{"fine", nil, "200"},
		{"te trailers", []string{"te", "trailers"}, "200"},
		{"host as authority", []string{"host", "weir.test"}, "200"},
		{"host alone", []string{":authority", "-", "host", "weir.test"}, "200"},
		{"connection", []string{"connection", "close"}, "400"},
		{"keep-alive", []string{"keep-alive", "timeout=5"}, "400"},
		{"proxy-connection", []string{"proxy-connection", "keep-alive"}, "400"},
		{"transfer-encoding", []string{"transfer-encoding", "chunked"}, "400"},
		{"transfer_encoding", []string{"transfer_encoding", "chunked"}, "400"},
		{"content_length", []string{"content_length", "1"}, "400"},
		{"upgrade", []string{"upgrade", "h2c"}, "400"},
		{"te", []string{"te", "gzip"}, "400"},
		{"te twice", []string{"te", "trailers", "te", "trailers"}, "400"},
		{"other host", []string{"host", "other.test"}, "400"},
		{"two hosts", []string{":authority", "-", "host", "weir.test", "host", "weir.test"}, "400"},
		{"no host", []string{":authority", "-"}, "400"},
		{"host with path", []string{":authority", "weir.test/x"}, "400"},
		{"host with space", []string{":authority", "weir test"}, "400"},
		{"host with user", []string{":authority", "u@weir.test"}, "reset"},
		{"path without slash", []string{":path", "pets"}, "reset"},
		{"absolute path", []string{":path", "http://other.test/"}, "400"},
		{"asterisk", []string{":method", "OPTIONS", ":path", "*"}, "400"},
		{"empty path", []string{":path", ""}, "reset"},
		{"two lengths", []string{"content-length", "0", "content-length", "0"}, "400"},
		{"length without body", []string{"content-length", "5"}, "400"},
		{"length with sign", []string{"content-length", "+0"}, "400"},
		{"expectation", []string{"expect", "200-ok"}, "417"},
		{"long path", []string{":path", "/" + strings.Repeat("x", 9000)}, "414"},
		{"long head", []string{"x-long", strings.Repeat("x", 33<<10)}, "431"},
		{"many fields", fields(101), "431"},
		{"10 000 fields", fields(10_000), "431"},
		{"CR LF in a value", []string{"x-a", "1\r\nx-b: 2"}, "reset"},
		{"NUL in a value", []string{"x-a", "1\x00"}, "reset"},
		{"colon in a name", []string{"x-a: 1", "2"}, "reset"},
		{"CR LF in a name", []string{"x-a\r\nx-b", "2"}, "reset"},
		{"space in a name", []string{"x a", "2"}, "reset"},
		{"capital in a name", []string{"X-A", "2"}, "reset"},
		{"CR LF in the path", []string{":path", "/\r\nx: y"}, "reset"},
		{"CR LF in the method", []string{":method", "GET / HTTP/1.1\r\n"}, "reset"},
		{"pseudo field after others", []string{"x-a", "1", ":late", "x"}, "reset"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, d)
			c.head(1, true, tt.pairs...)
			if err := c.send(); err != nil {
				t.Fatal(err)
			}
			all, _, err := c.replies(1)
			if err != nil {
				t.Fatal(err)
			}
			got := all[1].status
			if all[1].status == "" {
				got = "reset"
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			// Fields for one connection are refused by net/http, in its own words.
			if body := all[1].body; got[0] == '4' && !strings.Contains(body, `"code":"`+got+`"`) && !strings.Contains(body, " in HTTP/2") {
				t.Errorf("got the body %s", body)
			}
		})
	}
}

func fields(n int) (pairs []string) {
	for i := range n {
		pairs = append(pairs, fmt.Sprint("x-", i), "1")
	}
	return pairs
}

// TestRawPath wants the path judged as it stands on the wire.
func TestRawPath(t *testing.T) {
	var mu sync.Mutex
	var got string
	p := &pipeline{refuse: &gateway.Answer{Status: 400}, look: func(x *gateway.Exchange) {
		mu.Lock()
		defer mu.Unlock()
		got = strings.Clone(x.Path)
	}}
	d := open(t, p, Options{}, "http://127.0.0.1:1")
	for _, path := range []string{
		"//admin", "/./admin", "/x/../admin", "/%61dmin", "/admin%2f", "/admin;x", "/\\admin", "/ADMIN", "/admin/",
		"/admin#", "/api..%2fadmin", "/%252f", "/admin%00",
	} {
		c := dial(t, d)
		c.head(1, true, ":path", path+"?a=1;apikey=x")
		if err := c.send(); err != nil {
			t.Fatal(err)
		}
		if all, _, err := c.replies(1); err != nil || all[1].status != "400" {
			t.Errorf("%s: got %+v, %v", path, all[1], err)
		}
		mu.Lock()
		if got != path {
			t.Errorf("got %q, want %q", got, path)
		}
		mu.Unlock()
	}
}

// TestMethods wants odd methods judged by the pipeline, not by net/http.
func TestMethods(t *testing.T) {
	var mu sync.Mutex
	var got string
	p := &pipeline{refuse: &gateway.Answer{Status: 501}, look: func(x *gateway.Exchange) {
		mu.Lock()
		defer mu.Unlock()
		got = strings.Clone(x.Method)
	}}
	d := open(t, p, Options{}, "http://127.0.0.1:1")
	for _, method := range []string{"get", "GeT", "TRACE", "CONNECT", strings.Repeat("X", 8000)} {
		c := dial(t, d)
		pairs := []string{":method", method}
		if method == "CONNECT" {
			pairs = append(pairs, ":scheme", "-", ":path", "-")
		}
		c.head(1, true, pairs...)
		if err := c.send(); err != nil {
			t.Fatal(err)
		}
		if all, _, err := c.replies(1); err != nil || all[1].status != "501" {
			t.Errorf("%.10s: got %+v, %v", method, all[1], err)
		}
		mu.Lock()
		if got != method {
			t.Errorf("got %.10q, want %.10q", got, method)
		}
		mu.Unlock()
	}
}

// TestTrailersDropped sends trailers as the client of an HTTP/1.1 backend.
func TestTrailersDropped(t *testing.T) {
	url := backend(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if len(r.Trailer) > 0 || r.Header.Get("Trailer") != "" || r.Header.Get("X-Late") != "" {
			w.WriteHeader(500)
		}
	})
	p := &pipeline{}
	d := open(t, p, Options{}, url)
	for _, tt := range []struct {
		name string
		want reply
	}{
		{"x-late", reply{status: "200"}},
		{"x-forwarded-for", reply{status: "200"}},
		{"x-ratelimit-limit", reply{status: "200"}},
		{"authorization", reply{reset: h2.ErrCodeProtocol}},
	} {
		c := dial(t, d)
		c.head(1, false, ":method", "POST", "trailer", tt.name)
		c.WriteData(1, false, []byte("body"))
		c.block.Reset()
		c.enc.WriteField(hpack.HeaderField{Name: tt.name, Value: "1"})
		c.WriteHeaders(h2.HeadersFrameParam{StreamID: 1, BlockFragment: c.block.Bytes(), EndStream: true, EndHeaders: true})
		c.send()
		all, _, err := c.replies(1)
		if err != nil || all[1].status != tt.want.status || all[1].reset != tt.want.reset {
			t.Errorf("%s: got %+v, %v, want %+v", tt.name, all[1], err, tt.want)
		}
	}
}

// TestExpectContinue floods a backend that refuses by expectations.
func TestExpectContinue(t *testing.T) {
	url := backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Expect") != "" {
			w.WriteHeader(417)
			return
		}
		io.Copy(w, r.Body)
	})
	p := &pipeline{}
	d := open(t, p, Options{}, url)
	c := client(t)
	for range 50 {
		r := request(t, "POST", "http://"+d.addr+"/", strings.NewReader("x"))
		r.Header.Set("Expect", "100-continue")
		if res, body := get(t, c, r); res.StatusCode != 200 || body != "x" {
			t.Fatalf("got %d %q", res.StatusCode, body)
		}
	}
}

// TestNotHTTP2 sends something else.
func TestNotHTTP2(t *testing.T) {
	d := open(t, &pipeline{}, Options{}, "http://127.0.0.1:1")
	for _, text := range []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", strings.Repeat("\x00", 100)} {
		conn, err := net.Dial("tcp", d.addr)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(conn, text)
		if b, _ := io.ReadAll(conn); bytes.Contains(b, []byte("200")) {
			t.Errorf("%q was answered by %q", text, b)
		}
		conn.Close()
	}
}
