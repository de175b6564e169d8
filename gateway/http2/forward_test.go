package http2

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/upstream"
	"github.com/weir-project/weir/test/realserver"
)

func TestForward(t *testing.T) {
	var seen *http.Request
	var sent []byte
	url := backend(t, func(w http.ResponseWriter, r *http.Request) {
		seen = r
		sent, _ = io.ReadAll(r.Body)
		w.Header().Set("X-Own", "1")
		w.Header().Set("X-RateLimit-Limit", "backend's")
		w.Header().Set("Alt-Svc", `h2=":1"`)
		w.Header().Set("Connection", "X-Hop")
		w.Header().Set("X-Hop", "1")
		w.WriteHeader(201)
		io.WriteString(w, "made")
	})
	p := &pipeline{fields: []gateway.Field{{Name: "X-RateLimit-Limit", Value: []byte("10")}, {Name: "Vary", Value: []byte("Origin")}}}
	d := open(t, p, Options{}, url+"/base")
	r := request(t, "POST", "http://"+d.addr+"/pets/%41?q=a%20b&x", strings.NewReader("hello"))
	for name, value := range map[string]string{
		"X-Forwarded-For": "1.2.3.4", "X-Real-Ip": "1.2.3.4", "Forwarded": "for=1.2.3.4",
		"X-Http-Method-Override": "DELETE", "X-Kept": "yes", "Proxy-Authorization": "Basic eA==", "Te": "trailers",
	} {
		r.Header.Set(name, value)
	}
	res, body := get(t, client(t), r)
	if res.StatusCode != 201 || body != "made" {
		t.Errorf("got %d %q, want 201 made", res.StatusCode, body)
	}
	if seen.RequestURI != "/base/pets/%41?q=a%20b&x" || seen.Method != "POST" || string(sent) != "hello" || seen.ContentLength != 5 {
		t.Errorf("the backend got %s %s with %q (%d)", seen.Method, seen.RequestURI, sent, seen.ContentLength)
	}
	for name, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": d.addr, "X-Kept": "yes",
		"X-Real-Ip": "", "Forwarded": "", "X-Http-Method-Override": "", "Proxy-Authorization": "", "Te": "",
	} {
		if got := strings.Join(seen.Header.Values(name), "|"); got != want {
			t.Errorf("the backend got %s %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{
		"X-Own": "1", "X-Ratelimit-Limit": "10", "Vary": "Origin", "Content-Length": "4", "Alt-Svc": "", "X-Hop": "", "Connection": "",
	} {
		if got := strings.Join(res.Header.Values(name), "|"); got != want {
			t.Errorf("the client got %s %q, want %q", name, got, want)
		}
	}
	want := gateway.Outcome{Status: 201, RequestBytes: 5, ResponseBytes: 4, Forwarded: true}
	got := p.outcome(t, 1)
	if got.Time.IsZero() {
		t.Error("the outcome has no time")
	}
	if got.Time = want.Time; got != want {
		t.Errorf("got outcome %+v, want %+v", got, want)
	}
}

func TestExchange(t *testing.T) {
	url := backend(t, func(w http.ResponseWriter, r *http.Request) {})
	p := &pipeline{}
	var x gateway.Exchange
	p.look = func(got *gateway.Exchange) {
		x = *got
		for _, name := range []string{"X-One", "x-one", "X-ONE", "ApiKey", "apikey"} {
			if v, ok := got.Headers.Value(name); !ok || v != "1" {
				t.Errorf("Value(%s) = %q, %v", name, v, ok)
			}
		}
		if v, ok := got.Headers.Value("Host"); !ok || v == "" {
			t.Errorf("Value(Host) = %q, %v", v, ok)
		}
		var all []string
		got.Headers.Each("x-many", func(v string) bool { all = append(all, v); return len(all) < 2 })
		if fmt.Sprint(all) != "[a b]" {
			t.Errorf("Each gave %v", all)
		}
	}
	d := open(t, p, Options{}, url)
	r := request(t, "GET", "http://"+d.addr+"/a%2Fb/;x=1?k=%2f&k", nil)
	r.Header = http.Header{"X-One": {"1"}, "Apikey": {"1"}, "X-Many": {"a", "b", "c"}}
	get(t, client(t), r)
	p.outcome(t, 1)
	if x.Path != "/a%2Fb/;x=1" || x.RawQuery != "k=%2f&k" || x.Method != "GET" || x.Host != d.addr || x.TLS || x.ContentLength != 0 {
		t.Errorf("got %s %s?%s at %s, TLS %v, length %d", x.Method, x.Path, x.RawQuery, x.Host, x.TLS, x.ContentLength)
	}
	if x.Peer.Addr().String() != "127.0.0.1" || x.Peer.Port() == 0 || time.Since(x.Time) > time.Minute {
		t.Errorf("got peer %v, time %v", x.Peer, x.Time)
	}
}

func TestForwardOverTLS(t *testing.T) {
	cert, pool := certificate(t)
	backend := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Proto, r.Header.Get("X-Forwarded-Proto"))
	}))
	backend.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	backend.EnableHTTP2 = true
	backend.StartTLS()
	defer backend.Close()
	p := &pipeline{look: func(x *gateway.Exchange) {
		if !x.TLS {
			t.Error("Exchange.TLS is not set")
		}
	}}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}}
	d := openWith(t, p, Options{}, upstream.Options{TLS: &tls.Config{RootCAs: pool}}, config, backend.URL)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	res, body := get(t, &http.Client{Transport: tr}, request(t, "GET", "https://"+d.addr+"/", nil))
	if res.ProtoMajor != 2 || body != "HTTP/2.0 https" {
		t.Errorf("got HTTP/%d %q, want HTTP/2 all the way", res.ProtoMajor, body)
	}
}

// TestMisdirected asks for other hosts than the client set up TLS for.
func TestMisdirected(t *testing.T) {
	cert, pool := certificate(t)
	p := &pipeline{}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}}
	d := openWith(t, p, Options{}, upstream.Options{}, config, backend(t, func(http.ResponseWriter, *http.Request) {}))
	for _, tt := range []struct {
		server, host string
		want         int
	}{
		{"weir.test", "weir.test", 200},
		{"weir.test", "WEIR.test.:8243", 200},
		{"Weir.Test", "weir.test", 200},
		{"weir.test", "else.test", 421},
		{"weir.test", "127.0.0.1", 421},
		{"", "else.test", 200}, // it didn't say
	} {
		tr := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{
			RootCAs: pool, ServerName: tt.server, InsecureSkipVerify: true,
		}}
		r := request(t, "GET", "https://"+d.addr+"/", nil)
		r.Host = tt.host
		if res, body := get(t, &http.Client{Transport: tr}, r); res.StatusCode != tt.want || tt.want == 421 && !strings.Contains(body, `"code":"421"`) {
			t.Errorf("TLS for %q, host %q: got %d %s, want %d", tt.server, tt.host, res.StatusCode, body, tt.want)
		}
		tr.CloseIdleConnections()
	}
}

func TestForwardOldTLS(t *testing.T) {
	cert, pool := certificate(t)
	p := &pipeline{}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS10}
	d := openWith(t, p, Options{}, upstream.Options{}, config, "http://127.0.0.1:1")
	conn, err := tls.Dial("tcp", d.addr, &tls.Config{RootCAs: pool, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	if err != nil {
		t.Skipf("this Go has no TLS 1.1: %v", err)
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("HTTP/2 was spoken over TLS 1.1")
	}
}

func TestStreaming(t *testing.T) {
	for name, start := range map[string]func(*testing.T, http.HandlerFunc) string{
		"HTTP/1.1": backend,
		"HTTP/2":   func(t *testing.T, h http.HandlerFunc) string { return backend2(t, h) },
	} {
		t.Run(name, func(t *testing.T) {
			url := start(t, func(w http.ResponseWriter, r *http.Request) {
				rc := http.NewResponseController(w)
				rc.EnableFullDuplex()
				rc.Flush()
				buf := make([]byte, 100)
				for {
					n, err := r.Body.Read(buf)
					w.Write(bytes.ToUpper(buf[:n]))
					rc.Flush()
					if err != nil {
						return
					}
				}
			})
			p := &pipeline{}
			d := open(t, p, Options{}, url)
			in, out := io.Pipe()
			r := request(t, "POST", "http://"+d.addr+"/", in)
			if name == "HTTP/2" {
				r.Header.Set("Content-Type", "application/grpc")
			}
			res, err := client(t).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			buf := make([]byte, 100)
			for i := range 5 {
				fmt.Fprintf(out, "part %d", i)
				n, err := io.ReadAtLeast(res.Body, buf, 6)
				if want := fmt.Sprintf("PART %d", i); err != nil || string(buf[:n]) != want {
					t.Fatalf("got %q, %v, want %q at once", buf[:n], err, want)
				}
			}
			out.Close()
			io.Copy(io.Discard, res.Body)
			if got := p.outcome(t, 1); got.RequestBytes != 30 || got.ResponseBytes != 30 {
				t.Errorf("got outcome %+v, want 30 bytes each way", got)
			}
		})
	}
}

func TestLargeBodies(t *testing.T) {
	url := backend(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Length", fmt.Sprint(n))
		io.CopyN(w, zeros{}, n)
	})
	const size = 3 << 20
	p := &pipeline{}
	d := open(t, p, Options{}, url)
	res, body := get(t, client(t), request(t, "PUT", "http://"+d.addr+"/", io.LimitReader(zeros{}, size)))
	if res.ContentLength != size || len(body) != size {
		t.Errorf("got %d of %d bytes, want %d", len(body), res.ContentLength, size)
	}
	if got := p.outcome(t, 1); got.RequestBytes != size || got.ResponseBytes != size {
		t.Errorf("got outcome %+v, want %d bytes each way", got, size)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestHeadOfAnswers asks for what net/http would rather make up itself.
func TestHeadOfAnswers(t *testing.T) {
	url := backend(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/head":
			w.Header().Set("Content-Length", "1000")
		case "/none":
			w.WriteHeader(204)
		case "/same":
			w.Header().Set("ETag", `"1"`)
			w.WriteHeader(304)
		case "/untyped":
			w.Header()["Content-Type"] = nil
			io.WriteString(w, "<html>")
		case "/trailers":
			w.Header().Set("Trailer", "X-After")
			io.WriteString(w, "body")
			w.Header().Set("X-After", "1")
		case "/early":
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(103)
			w.Header().Del("Link")
			io.WriteString(w, "late")
		}
	})
	p := &pipeline{}
	d := open(t, p, Options{}, url)
	c := client(t)
	for _, tt := range []struct {
		method, path string
		status       int
		length       int64
		body         string
	}{
		{"HEAD", "/head", 200, 1000, ""},
		{"GET", "/none", 204, 0, ""},
		{"GET", "/same", 304, 0, ""},
		{"GET", "/untyped", 200, 6, "<html>"},
		{"GET", "/trailers", 200, -1, "body"},
		{"GET", "/early", 200, 4, "late"},
	} {
		t.Run(tt.path, func(t *testing.T) {
			early := 0
			r := request(t, tt.method, "http://"+d.addr+tt.path, nil)
			r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
				Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
					if code == 103 && h.Get("Link") != "" {
						early++
					}
					return nil
				},
			}))
			res, body := get(t, c, r)
			if res.StatusCode != tt.status || body != tt.body || res.ContentLength != tt.length {
				t.Errorf("got %d %q, length %d, want %d %q, length %d", res.StatusCode, body, res.ContentLength, tt.status, tt.body, tt.length)
			}
			if got := res.Header.Get("Content-Type"); tt.path == "/untyped" && got != "" {
				t.Errorf("the gateway guessed the type %q", got)
			}
			if len(res.Trailer) > 0 {
				t.Errorf("got trailers %v", res.Trailer)
			}
			if res.Header.Get("Link") != "" || early != 0 != (tt.path == "/early") {
				t.Errorf("got %d early hints, Link %q in the answer", early, res.Header.Get("Link"))
			}
		})
	}
}

// TestBrokenAnswer is a backend that promises more than it sends.
func TestBrokenAnswer(t *testing.T) {
	url := backend(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10")
		io.WriteString(w, "five.")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	p := &pipeline{}
	d := open(t, p, Options{}, url)
	res, err := client(t).Do(request(t, "GET", "http://"+d.addr+"/", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("got %q as if it were complete", b)
	}
	if got := p.outcome(t, 1); got.Status != 200 || got.ResponseBytes != 5 {
		t.Errorf("got outcome %+v", got)
	}
}

func TestFailover(t *testing.T) {
	dead := "http://" + realserver.FreeAddress(t)
	rude := backend(t, func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
	good := backend(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, r.Body)
		io.WriteString(w, "good")
	})
	for _, tt := range []struct {
		name, method, body string
		urls               []string
		status             int
		want               string
	}{
		{"unreachable", "GET", "", []string{dead, good}, 200, "good"},
		{"unreachable, with a body", "POST", "x", []string{dead, good}, 200, "xgood"},
		{"breaks off, idempotent", "GET", "", []string{rude, good}, 200, "good"},
		{"breaks off, not idempotent", "POST", "", []string{rude, good}, 502, ""},
		{"breaks off, with a body", "PUT", "x", []string{rude, good}, 502, ""},
		{"none left", "GET", "", []string{dead}, 502, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &pipeline{}
			d := open(t, p, Options{}, tt.urls...)
			res, body := get(t, client(t), request(t, tt.method, "http://"+d.addr+"/", strings.NewReader(tt.body)))
			if res.StatusCode != tt.status || tt.want != "" && body != tt.want {
				t.Errorf("got %d %q, want %d %q", res.StatusCode, body, tt.status, tt.want)
			}
			if got := p.outcome(t, 1); got.Status != tt.status || got.Forwarded != (tt.name != "none left") {
				t.Errorf("got outcome %+v", got)
			}
		})
	}
}
