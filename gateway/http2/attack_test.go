package http2

import (
	"bytes"
	"errors"
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

// A raw is a client that sends whatever frames it likes.
type raw struct {
	t    *testing.T
	conn net.Conn
	out  bytes.Buffer // collected, to be sent in one write
	*h2.Framer
	enc   *hpack.Encoder
	block bytes.Buffer
}

func dial(t *testing.T, d *door) *raw {
	t.Helper()
	conn, err := net.Dial("tcp", d.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	c := &raw{t: t, conn: conn}
	c.Framer = h2.NewFramer(&c.out, conn)
	c.AllowIllegalWrites = true
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.enc = hpack.NewEncoder(&c.block)
	c.out.WriteString(h2.ClientPreface)
	c.WriteSettings()
	return c
}

// fields encodes a head: the pseudo fields of a GET unless pairs say otherwise.
func (c *raw) fields(pairs ...string) []byte {
	c.block.Reset()
	pseudo := map[string]string{":method": "GET", ":scheme": "http", ":authority": "weir.test", ":path": "/"}
	for i := 0; i < len(pairs); i += 2 {
		if _, ok := pseudo[pairs[i]]; ok {
			pseudo[pairs[i]] = pairs[i+1]
		}
	}
	for _, name := range []string{":method", ":scheme", ":authority", ":path"} {
		if value := pseudo[name]; value != "-" {
			c.enc.WriteField(hpack.HeaderField{Name: name, Value: value})
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		if _, ok := pseudo[pairs[i]]; !ok {
			c.enc.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
		}
	}
	return c.block.Bytes()
}

// head writes a request's head.
func (c *raw) head(id uint32, end bool, pairs ...string) {
	block := c.fields(pairs...)
	first := block[:min(len(block), maxFrame)]
	c.WriteHeaders(h2.HeadersFrameParam{StreamID: id, BlockFragment: first, EndStream: end, EndHeaders: len(first) == len(block)})
	for rest := block[len(first):]; len(rest) > 0; {
		n := min(len(rest), maxFrame)
		c.WriteContinuation(id, n == len(rest), rest[:n])
		rest = rest[n:]
	}
}

// send sends all that was written, in one write.
func (c *raw) send() error {
	_, err := c.conn.Write(c.out.Bytes())
	c.out.Reset()
	return err
}

// A reply is what came back on a stream.
type reply struct {
	status string
	fields map[string]string
	body   string
	reset  h2.ErrCode
	ended  bool
}

// replies reads until n streams have ended or the connection has, and returns how
// that said goodbye.
func (c *raw) replies(n int) (map[uint32]*reply, h2.ErrCode, error) {
	all := map[uint32]*reply{}
	at := func(id uint32) *reply {
		if all[id] == nil {
			all[id] = &reply{fields: map[string]string{}}
		}
		return all[id]
	}
	away := h2.ErrCode(0)
	for ended := 0; ended < n; {
		f, err := c.ReadFrame()
		if err != nil {
			return all, away, err
		}
		end := false
		switch f := f.(type) {
		case *h2.MetaHeadersFrame:
			r := at(f.StreamID)
			for _, field := range f.Fields {
				r.fields[field.Name] = field.Value
			}
			r.status = r.fields[":status"]
			end = f.StreamEnded()
		case *h2.DataFrame:
			at(f.StreamID).body += string(f.Data())
			end = f.StreamEnded()
		case *h2.RSTStreamFrame:
			at(f.StreamID).reset = f.ErrCode
			end = true
		case *h2.GoAwayFrame:
			away = f.ErrCode
		}
		if end && !at(f.Header().StreamID).ended {
			at(f.Header().StreamID).ended = true
			ended++
		}
	}
	return all, away, nil
}

// refused wants the connection closed, and told why.
func (c *raw) refused(err error) {
	c.t.Helper()
	away := h2.ErrCode(0)
	if err == nil {
		_, away, err = c.replies(1 << 30)
	}
	var timeout net.Error
	if err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Errorf("the connection was not closed: %v", err)
	}
	_ = away // it may be lost with the frames that were never read
}

// TestSinglePacket sends 500 requests in one write: exactly the limit is admitted.
func TestSinglePacket(t *testing.T) {
	url := backend(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })
	for range 10 {
		p := &pipeline{limit: 10}
		d := open(t, p, Options{}, url)
		c := dial(t, d)
		for i := range uint32(500) {
			c.head(2*i+1, true)
		}
		if err := c.send(); err != nil {
			t.Fatal(err)
		}
		all, _, err := c.replies(500)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for _, r := range all {
			got[r.status+r.reset.String()]++
		}
		if got["200NO_ERROR"] != 10 || p.admitted.Load() != 10 {
			t.Errorf("got %v, %d admitted, want 10", got, p.admitted.Load())
		}
		eventually(t, "all finished", func() bool { return p.finished.Load() == 10+p.refused.Load() })
		c.conn.Close()
	}
}

// TestFloods sends frames that are no work, in every form there is. The connection
// must end after 200 of them; a client at work on another one must not notice.
func TestFloods(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	url := backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/quick" {
			select {
			case <-hold:
			case <-r.Context().Done():
			}
		}
	})
	for name, attack := range map[string]func(c *raw, i uint32){
		"rapid reset": func(c *raw, i uint32) {
			c.head(2*i+1, true)
			c.WriteRSTStream(2*i+1, h2.ErrCodeCancel)
		},
		"made you reset, by window": func(c *raw, i uint32) {
			c.head(2*i+1, true)
			c.WriteRawFrame(h2.FrameWindowUpdate, 0, 2*i+1, []byte{0, 0, 0, 0})
		},
		"made you reset, by data": func(c *raw, i uint32) {
			c.head(2*i+1, true)
			c.WriteData(2*i+1, false, []byte("more"))
		},
		"made you reset, by priority": func(c *raw, i uint32) {
			c.head(2*i+1, true)
			c.WritePriority(2*i+1, h2.PriorityParam{StreamDep: 2*i + 1})
		},
		"made you reset, by length": func(c *raw, i uint32) {
			c.head(2*i+1, false, ":method", "POST", "content-length", "1")
			c.WriteData(2*i+1, true, []byte("more"))
		},
		"malformed":      func(c *raw, i uint32) { c.head(2*i+1, true, ":scheme", "gopher") },
		"ping":           func(c *raw, i uint32) { c.WritePing(false, [8]byte{1}) },
		"ping ack":       func(c *raw, i uint32) { c.WritePing(true, [8]byte{1}) },
		"settings":       func(c *raw, i uint32) { c.WriteSettings() },
		"priority":       func(c *raw, i uint32) { c.WritePriority(2*i+1, h2.PriorityParam{}) },
		"window":         func(c *raw, i uint32) { c.WriteWindowUpdate(0, 1) },
		"go away":        func(c *raw, i uint32) { c.WriteGoAway(0, 0, nil) },
		"unknown frames": func(c *raw, i uint32) { c.WriteRawFrame(h2.FrameType(0x0a+i%6), 0, 0, []byte("x")) },
		"priority update": func(c *raw, i uint32) {
			c.WriteRawFrame(0x10, 0, 0, []byte{0, 0, 0, 1, 'u', '=', '0'})
		},
		"empty data": func(c *raw, i uint32) {
			if i == 0 {
				c.head(1, false, ":method", "POST")
			}
			c.WriteData(1, false, nil)
		},
		"padding": func(c *raw, i uint32) {
			if i == 0 {
				c.head(1, false, ":method", "POST")
			}
			c.WriteDataPadded(1, false, nil, make([]byte, 10))
		},
		"continuation": func(c *raw, i uint32) {
			if i == 0 {
				c.WriteHeaders(h2.HeadersFrameParam{StreamID: 1, BlockFragment: c.fields()})
			}
			c.WriteContinuation(1, false, nil)
		},
		"continuation with content": func(c *raw, i uint32) {
			if i == 0 {
				c.WriteHeaders(h2.HeadersFrameParam{StreamID: 1, BlockFragment: c.fields()})
			}
			c.block.Reset()
			c.enc.WriteField(hpack.HeaderField{Name: fmt.Sprint("x-", i), Value: "1"})
			c.WriteContinuation(1, false, c.block.Bytes())
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := &pipeline{}
			d := open(t, p, Options{}, url)
			good := client(t)
			c := dial(t, d)
			var err error
			for i := range uint32(2000) {
				attack(c, i)
				if i%50 == 49 && err == nil {
					err = c.send()
				}
				if i%500 == 0 {
					if res, _ := get(t, good, request(t, "GET", "http://"+d.addr+"/quick", nil)); res.StatusCode != 200 {
						t.Errorf("the good client got %d", res.StatusCode)
					}
				}
			}
			c.refused(err)
			eventually(t, "the flood's connection counted", func() bool {
				s := d.Stats()
				return s.Connections <= 1 && s.Abusive <= 1
			})
			if n := p.admitted.Load(); n > 204 {
				t.Errorf("%d calls were begun, want at most 200", n)
			}
			eventually(t, "calls finished", p.settled)
		})
	}
}

// TestWork does what floods look like, at the pace of the answers: the connection
// must live.
func TestWork(t *testing.T) {
	url := backend(t, func(w http.ResponseWriter, r *http.Request) { io.CopyN(w, zeros{}, 4096) })
	p := &pipeline{}
	d := open(t, p, Options{}, url)
	c := dial(t, d)
	for i := range uint32(1000) {
		id := 2*i + 1
		c.head(id, true)
		if err := c.send(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.replies(1); err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
		for range 4 {
			c.WriteWindowUpdate(0, 1024)
		}
		c.WritePing(false, [8]byte{})
		c.WritePriority(id, h2.PriorityParam{})
		c.WriteRSTStream(id, h2.ErrCodeCancel) // late, as some clients do
	}
	if d.Stats().Abusive != 0 {
		t.Error("work was taken for abuse")
	}
}

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
