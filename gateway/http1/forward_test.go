package http1

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/upstream"
)

// What a backend gets of a request, to the byte.
func TestForwardedRequest(t *testing.T) {
	heads := make(chan string, 1)
	backend := newScript(t, func(_ int, nc net.Conn, r *bufio.Reader) {
		head, err := readHeadText(r)
		if err != nil {
			return
		}
		if i := strings.Index(head, "Content-Length: "); i >= 0 {
			var n int64
			_, _ = fmt.Sscan(head[i+len("Content-Length: "):], &n)
			body, _ := io.ReadAll(io.LimitReader(r, n))
			head += string(body)
		}
		heads <- head
		_, _ = io.WriteString(nc, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
	})
	const own = "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: a\r\nX-Forwarded-Proto: http\r\nVia: 1.1 weir\r\n"
	for _, r := range []struct {
		name, request, want string
	}{
		{
			"plain", "GET /a/b?c=d HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nUser-Agent: u\r\n\r\n",
			"GET /base/a/b?c=d HTTP/1.1\r\nHost: BACKEND\r\nAccept: */*\r\nUser-Agent: u\r\n" + own + "\r\n",
		},
		{
			"absolute", "GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n",
			"GET /base/b HTTP/1.1\r\nHost: BACKEND\r\n" + own + "\r\n",
		},
		{
			"hop by hop", "GET / HTTP/1.1\r\nConnection: keep-alive, X-Hop , te\r\nHost: a\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\n" +
				"X-Hop: 1\r\nB: 2\r\nProxy-Authorization: x\r\nProxy-Connection: x\r\nTrailer: A\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\nC: 3\r\n\r\n",
			"GET /base/ HTTP/1.1\r\nHost: BACKEND\r\nB: 2\r\nC: 3\r\n" + own + "\r\n",
		},
		{
			"identity", "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nx-forwarded-host: evil\r\nForwarded: for=6.6.6.6\r\n" +
				"X-Real-IP: 6.6.6.6\r\nTrue-Client-IP: 6.6.6.6\r\nX-HTTP-Method-Override: DELETE\r\nB: 2\r\n\r\n",
			"GET /base/ HTTP/1.1\r\nHost: BACKEND\r\nB: 2\r\n" + own + "\r\n",
		},
		{
			"credential", "GET / HTTP/1.1\r\nHost: a\r\napikey: secret\r\nB: 2\r\n\r\n",
			"GET /base/ HTTP/1.1\r\nHost: BACKEND\r\nB: 2\r\n" + own + "\r\n",
		},
		{
			"body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nB: 2\r\n\r\nabc",
			"POST /base/ HTTP/1.1\r\nHost: BACKEND\r\nB: 2\r\n" + own + "Content-Length: 3\r\n\r\nabc",
		},
		{
			"empty body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
			"POST /base/ HTTP/1.1\r\nHost: BACKEND\r\n" + own + "Content-Length: 0\r\n\r\n",
		},
		{
			"chunked, small", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n",
			"POST /base/ HTTP/1.1\r\nHost: BACKEND\r\n" + own + "Content-Length: 3\r\n\r\nabc",
		},
		{
			"http 1.0", "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
			"GET /base/ HTTP/1.1\r\nHost: BACKEND\r\n" + strings.Replace(own, "1.1 weir", "1.0 weir", 1) + "\r\n",
		},
	} {
		t.Run(r.name, func(t *testing.T) {
			p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend+"/base")}
			p.admit = func(x *gateway.Exchange) *gateway.Answer {
				x.StripHeader = "ApiKey"
				return nil
			}
			f := newFront(t, Options{Pipeline: p})
			if status, _ := f.ask(r.request); status != 204 {
				t.Errorf("got status %d, want 204", status)
			}
			if got, want := <-heads, strings.ReplaceAll(r.want, "BACKEND", backend); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestPreserveHost(t *testing.T) {
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, newBackend(t, echo))}
	f := newFront(t, Options{Pipeline: p, PreserveHost: true})
	if _, body := f.ask("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"); !strings.HasPrefix(body, "GET / shop.example\n") {
		t.Errorf("got %q", body)
	}
}

// What a client gets of an answer, to the byte.
func TestForwardedAnswer(t *testing.T) {
	answers := make(chan string, 1)
	backend := newScript(t, func(_ int, nc net.Conn, r *bufio.Reader) {
		for {
			if _, err := readHeadText(r); err != nil {
				return
			}
			text := <-answers
			_, _ = io.WriteString(nc, text)
			if strings.Contains(text, "UNTIL") || strings.Contains(text, "HTTP/1.0") {
				return
			}
		}
	})
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
	p.admit = func(x *gateway.Exchange) *gateway.Answer {
		x.Fields = append(x.Fields, gateway.Field{Name: "X-RateLimit-Limit", Value: []byte("10")})
		return nil
	}
	f := newFront(t, Options{Pipeline: p})
	const own = "X-RateLimit-Limit: 10\r\n"
	for _, r := range []struct {
		name, request, answer, want string
	}{
		{
			"length", "GET / HTTP/1.1", "HTTP/1.1 200 Fine\r\nA: b\r\nContent-Length: 3\r\nC: d\r\n\r\nabc",
			"HTTP/1.1 200 Fine\r\nA: b\r\nC: d\r\nContent-Length: 3\r\n" + own + "\r\nabc",
		},
		{
			"no reason", "GET / HTTP/1.1", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 200 \r\nContent-Length: 0\r\n" + own + "\r\n",
		},
		{
			"hop by hop", "GET / HTTP/1.1", "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 1\r\nAlt-Svc: h3\r\nTrailer: x\r\nx-ratelimit-limit: 99\r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + own + "\r\n",
		},
		{
			"chunked", "GET / HTTP/1.1", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX-RateLimit-Limit: 9\r\n\r\n",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + own + "\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
		},
		{
			"chunked for 1.0", "GET / HTTP/1.0", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
			"HTTP/1.1 200 OK\r\n" + own + "Connection: close\r\n\r\nabcde",
		},
		{
			"until close", "GET / HTTP/1.1", "HTTP/1.1 200 OK\r\nA: UNTIL\r\n\r\nabc",
			"HTTP/1.1 200 OK\r\nA: UNTIL\r\nTransfer-Encoding: chunked\r\n" + own + "\r\n3\r\nabc\r\n0\r\n\r\n",
		},
		{
			"until close from 1.0", "GET / HTTP/1.1", "HTTP/1.0 200 OK\r\n\r\nabc",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + own + "\r\n3\r\nabc\r\n0\r\n\r\n",
		},
		{
			"HEAD", "HEAD / HTTP/1.1", "HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n",
			"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n" + own + "\r\n",
		},
		{
			"HEAD, chunked", "HEAD / HTTP/1.1", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
			"HTTP/1.1 200 OK\r\n" + own + "\r\n",
		},
		{
			"204", "GET / HTTP/1.1", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 204 No Content\r\n" + own + "\r\n",
		},
		{
			"304", "GET / HTTP/1.1", "HTTP/1.1 304 Not Modified\r\nContent-Length: 300\r\n\r\n",
			"HTTP/1.1 304 Not Modified\r\nContent-Length: 300\r\n" + own + "\r\n",
		},
		{
			"early hints", "GET / HTTP/1.1", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + own + "\r\n",
		},
		{
			"early hints for 1.0", "GET / HTTP/1.0\r\nConnection: keep-alive", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + own + "Connection: keep-alive\r\n\r\n",
		},
	} {
		t.Run(r.name, func(t *testing.T) {
			c := (&front{t, f.server, f.addr}).dial()
			answers <- r.answer
			c.send(r.request + "\r\nHost: a\r\n\r\n")
			got := make([]byte, len(r.want))
			if n, err := io.ReadFull(c.r, got); err != nil {
				t.Fatalf("got only %q: %v", got[:n], err)
			}
			if string(got) != r.want {
				t.Errorf("got\n%s\nwant\n%s", got, r.want)
			}
			if n := c.r.Buffered(); n > 0 {
				t.Errorf("%d bytes more came", n)
			}
		})
	}
}

// An answer that is not HTTP becomes 502, its connection is never used again, and
// the next request gets its own answer.
func TestMalformedAnswers(t *testing.T) {
	for _, r := range []struct{ name, answer string }{
		{"junk", "hello\r\n\r\n"},
		{"other protocol", "SSH-2.0-x\r\n"},
		{"version 2", "HTTP/2.0 200 OK\r\n\r\n"},
		{"status of two digits", "HTTP/1.1 20 OK\r\n\r\n"},
		{"status 099", "HTTP/1.1 099 OK\r\n\r\n"},
		{"status 600", "HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n"},
		{"bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"},
		{"obs-fold", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n"},
		{"space before colon", "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n"},
		{"NUL in a field", "HTTP/1.1 200 OK\r\nA: \x00\r\nContent-Length: 0\r\n\r\n"},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n"},
		{"bad length", "HTTP/1.1 200 OK\r\nContent-Length: 0x0\r\n\r\n"},
		{"length and coding", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"other coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"},
		{"coding from 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"bad first chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"},
		{"uninvited 101", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"},
		{"only interim answers", strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 20)},
		{"endless head", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("b", 70<<10)},
		{"cut off head", "HTTP/1.1 200 OK\r\nA: b"},
	} {
		t.Run(r.name, func(t *testing.T) {
			backend := newScript(t, func(n int, nc net.Conn, br *bufio.Reader) {
				if _, err := readHeadText(br); err != nil {
					return
				}
				if n == 0 {
					_, _ = io.WriteString(nc, r.answer)
					if r.name == "cut off head" {
						return
					}
					_, _ = io.Copy(io.Discard, br) // until the gateway closes it
					return
				}
				_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")
			})
			p := &fakePipeline{group: newGroup(t, upstream.Options{ResponseTimeout: patience}, false, backend)}
			f := newFront(t, Options{Pipeline: p})
			c := f.dial()
			res, _ := c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").answer("GET")
			if res.StatusCode != 502 && res.StatusCode != 102 {
				t.Fatalf("got status %d, want 502", res.StatusCode)
			}
			for res.StatusCode == 102 {
				res, _ = c.answer("GET")
			}
			if status, body := f.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"); status != 200 || body != "good" {
				t.Errorf("next request: got %d %q, want 200 good", status, body)
			}
		})
	}
}

// Bytes behind an answer are nobody's answer: not in the same packet, and not
// while the connection is kept.
func TestNoAnswerForTheNext(t *testing.T) {
	const evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	for _, apart := range []bool{false, true} {
		written := make(chan struct{}, 10)
		backend := newScript(t, func(n int, nc net.Conn, br *bufio.Reader) {
			for {
				if _, err := readHeadText(br); err != nil {
					return
				}
				good := "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
				if apart {
					_, _ = io.WriteString(nc, good)
					<-time.After(20 * time.Millisecond)
					_, _ = io.WriteString(nc, evil)
				} else {
					_, _ = io.WriteString(nc, good+evil)
				}
				written <- struct{}{}
			}
		})
		p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
		f := newFront(t, Options{Pipeline: p})
		c := f.dial()
		for i := range 3 {
			_, body := c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").answer("GET")
			<-written
			if body != "good" {
				t.Errorf("apart %v, request %d: got %q, want good", apart, i, body)
			}
			<-time.After(5 * time.Millisecond) // for the bytes to arrive
		}
	}
}
