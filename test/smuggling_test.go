package test

import (
	"fmt"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// poison is a request that no client sends as one: it is hidden in others.
const poison = "GET /poison HTTP/1.1\r\nHost: weir.test\r\n\r\n"

// last is the request by which each case ends, and its connection with it.
const last = "GET /pet/a HTTP/1.1\r\nHost: weir.test\r\nConnection: close\r\n\r\n"

// A smuggling is bytes that one server may take for one request and another for
// two. If refused, there is one answer, of a status in refused, and the end of the
// connection; otherwise as many answers of status 200 as passed says. With neither,
// it may be taken in any way that is not a backend's alone.
type smuggling struct {
	name, text string
	refused    []int
	passed     int
}

func post(head, body string) string {
	return "POST /pet/a HTTP/1.1\r\nHost: weir.test\r\n" + head + "\r\n" + body
}

// bad is a case that is refused with 400.
func bad(name, text string) smuggling {
	return smuggling{name: name, text: text + last, refused: []int{400}}
}

// good is a case that n requests pass of, the one at its end not counted.
func good(name, text string, n int) smuggling {
	return smuggling{name: name, text: text + last, passed: n + 1}
}

// either is a case that passes as one request, or is refused.
func either(name, text string) smuggling {
	return smuggling{name: name, text: text + last, refused: []int{400}, passed: 2}
}

// smugglings returns the cases: framings that servers are known to read in
// different ways, with a request hidden where one of them would look for it.
func smugglings() []smuggling {
	cl := fmt.Sprintf("Content-Length: %d\r\n", len(poison))
	const te = "Transfer-Encoding: chunked\r\n"
	hidden := "0\r\n\r\n" + poison
	all := []smuggling{
		good("length", post(cl, poison), 1),
		good("chunked", post(te, "5\r\nhello\r\n0\r\n\r\n"), 1),
		good("chunked in capitals", post("Transfer-Encoding: CHUNKED\r\n", hidden[:5]), 1),
		good("chunk extension", post(te, "5;a=b;c=\"d\"\r\nhello\r\n0\r\n\r\n"), 1),
		good("trailer", post(te+"Trailer: X-Sum\r\n", "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"), 1),
		good("poison within a chunk", post(te, fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(poison), poison)), 1),
		good("two in one write", strings.Replace(last, "Connection: close\r\n", "", 1), 1),
		good("GET with a body", "GET /pet/a HTTP/1.1\r\nHost: weir.test\r\n"+cl+"\r\n"+poison, 1),

		bad("length and chunked", post(cl+te, hidden)),
		bad("chunked and length", post(te+cl, hidden)),
		bad("length 0 and chunked", post("Content-Length: 0\r\n"+te, hidden)),
		bad("two lengths", post(cl+"Content-Length: 0\r\n", poison)),
		bad("two equal lengths", post(cl+cl, poison)),
		bad("list of lengths", post(fmt.Sprintf("Content-Length: %d, %d\r\n", len(poison), len(poison)), poison)),
		bad("folded length", post("Content-Length:\r\n 43\r\n", poison)),
		bad("HTTP/1.0 chunked", strings.Replace(post(te, hidden), "HTTP/1.1", "HTTP/1.0", 1)),
		either("length as a field to drop", post("Connection: Content-Length\r\n"+cl, poison)),
		either("coding as a field to drop", post("Connection: Transfer-Encoding\r\n"+te, "0\r\n\r\n")),
		bad("underscore", post("Content_Length: 3\r\nTransfer_Encoding: chunked\r\n"+cl+te, poison)),
		bad("two hosts", post("Host: else.test\r\n"+cl, poison)),
		bad("no host", "GET /pet/a HTTP/1.1\r\n\r\n"),
		bad("host with a path", "GET /pet/a HTTP/1.1\r\nHost: weir.test/poison\r\n\r\n"),
		bad("host with a user", "GET /pet/a HTTP/1.1\r\nHost: x@weir.test\r\n\r\n"),
		bad("absolute target of another host", "GET http://else.test/pet/a HTTP/1.1\r\nHost: weir.test\r\n\r\n"),
		bad("bare LF", strings.ReplaceAll(strings.Replace(last, "Connection: close\r\n", "", 1), "\r\n", "\n")),
		bad("LF at the end of a field", post("X-A: b\n"+cl, poison)),
		bad("LF at the end of the head", strings.TrimSuffix(post(cl, ""), "\r\n")+"\n"+poison),
		bad("CR within a field", post("X-A: b\rTransfer-Encoding: chunked\r\n"+cl, poison)),
		bad("folded field", post("X-A: b\r\n c\r\n"+cl, poison)),
		bad("folded coding", post("Transfer-Encoding:\r\n chunked\r\n", hidden)),
		bad("field that begins with a space", post(" Transfer-Encoding: chunked\r\n"+cl, poison)),
		bad("space before the colon", post("Transfer-Encoding : chunked\r\n"+cl, poison)),
		bad("tab before the colon", post("Content-Length\t: 3\r\n", poison)),
		bad("field without a colon", post("Transfer-Encoding\r\n"+cl, poison)),
		bad("field without a name", post(": chunked\r\n"+cl, poison)),
		bad("NUL in a value", post("X-A: \x00\r\n"+cl, poison)),
		bad("NUL in a name", post("X\x00A: b\r\n"+cl, poison)),
		bad("letter beyond ASCII in a name", post("Contént-Length: 3\r\n", poison)),
		bad("two spaces in the first line", "GET  /pet/a HTTP/1.1\r\nHost: weir.test\r\n\r\n"),
		bad("tab in the first line", "GET\t/pet/a HTTP/1.1\r\nHost: weir.test\r\n\r\n"),
		bad("space at the end of the first line", "GET /pet/a HTTP/1.1 \r\nHost: weir.test\r\n\r\n"),
		bad("space in the target", "GET /pet/a b HTTP/1.1\r\nHost: weir.test\r\n\r\n"),
		bad("CR LF in the target", "GET /pet/a\r\nX: HTTP/1.1\r\nHost: weir.test\r\n\r\n"),
		bad("target without a slash", "GET pet/a HTTP/1.1\r\nHost: weir.test\r\n\r\n"),
		bad("fragment", "GET /pet/a#b HTTP/1.1\r\nHost: weir.test\r\n\r\n"),
		bad("HTTP/0.9", "GET /pet/a\r\n"),
		bad("version in small letters", "GET /pet/a http/1.1\r\nHost: weir.test\r\n\r\n"),
	}
	for _, v := range []string{"+43", "-1", "4 3", "0x2b", "43;", "", "43.0", "1e1", "99999999999999999999", "043a", "４３"} {
		all = append(all, bad("length "+v, post("Content-Length: "+v+"\r\n", poison)))
	}
	for _, v := range []string{
		"xchunked", "chunked, identity", "identity", "identity, chunked", "chunked, chunked", "chunked;q=1", "\"chunked\"",
		"gzip, chunked", ", chunked", "chunked,", "chun ked", "\vchunked", "chunked\x00", "", "deflate",
	} {
		s := bad("coding "+v, post("Transfer-Encoding: "+v+"\r\n", hidden))
		s.refused = append(s.refused, 501) // for what it doesn't know
		all = append(all, s)
	}
	for _, v := range []string{
		"0x5\r\nhello", "+5\r\nhello", "-5\r\nhello", "5 \r\nhello", " 5\r\nhello", "5\nhello", "5;a\nb\r\nhello", "5\r\rhello",
		"g\r\nhello", "\r\nhello", "00000000000000000005\r\nhello", "FFFFFFFFFFFFFFFFF\r\nhello", "5\r\nhello!", "5\r\nhell", "5;\x00\r\nhello",
	} {
		all = append(all, bad(fmt.Sprintf("chunk %q", v), post(te, v+"\r\n"+hidden)))
	}
	for _, v := range []string{"Transfer-Encoding: chunked", "Content-Length: 3", "Host: else.test", "X A: b", "X: a\nY: b", " folded"} {
		text := "5\r\nhello\r\n0\r\n" + v + "\r\n\r\n"
		// Fields that may not stand there may also be dropped.
		all = append(all, either(fmt.Sprintf("trailer %q", v), post(te, text)))
	}
	two := bad("two codings", post(te+te, hidden))
	two.refused = append(two.refused, 501)
	future := bad("a version to come", "GET /pet/a HTTP/3.7\r\nHost: weir.test\r\n\r\n")
	future.refused = append(future.refused, 505)
	expect := bad("an expectation", post("Expect: the-unexpected\r\n"+cl, poison))
	expect.refused = []int{417}
	upgrade := good("h2c upgrade", strings.Replace(last, "Connection: close", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__", 1), 1)
	return append(all, two, future, expect, upgrade)
}

// disguises returns heads with a transfer coding that some server takes for chunked
// and another does not: with every byte that is no letter and no digit, at every
// place where it may be passed over. To who goes by the length there is one
// request, to who goes by the chunks there are two, or the other way round.
func disguises() (all []smuggling) {
	inner := "0\r\n\r\n" + poison
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(poison), poison)
	for c := range 256 {
		b := string([]byte{byte(c)})
		if '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
			continue
		}
		for i, place := range []string{
			"$Transfer-Encoding: chunked", "Transfer-Encoding$: chunked", "Transfer-Encoding:$chunked", "Transfer-Encoding: chunked$",
			"Transfer$Encoding: chunked", "X: x$Transfer-Encoding: chunked", "Transfer-Encoding: x$chunked", "Transfer-Encoding\r\n$: chunked",
		} {
			line := strings.Replace(place, "$", b, 1) + "\r\n"
			text := post(fmt.Sprintf("Content-Length: %d\r\n", len(inner))+line, inner)
			if (c+i)%2 == 1 {
				text = post(line+fmt.Sprintf("Content-Length: %d\r\n", strings.Index(chunk, poison)), chunk)
			}
			all = append(all, smuggling{name: fmt.Sprintf("coding in disguise %q", line), text: text + last})
		}
	}
	return all
}

// TestSmuggling sends every case through gateways before a Go server and, where
// they are installed, nginx, HAProxy and Node.js, all of which pass on to a
// recorder: it sees nothing but what the gateway has counted, and never the poison.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	for _, kind := range []struct {
		name  string
		start func(t *testing.T, to string) (url string)
	}{{"go", startGoProxy}, {"nginx", startNginx}, {"haproxy", startHAProxy}, {"node", startNode}} {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			b := newBackend(t, "one")
			p := newProject(t, kind.start(t, b.URL), files{
				"policies.yaml": generous, "api_definitions/pet.yaml": openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}"),
			})
			g := p.serve("[timeouts]\nheader = \"2s\"\nbody_idle = \"2s\"\n")
			c := g.h1(t)
			before := c.get(t, "/pet/a").want(t, 200, "").number("X-RateLimit-Remaining")
			hits := b.hits()
			all := append(smugglings(), disguises()...)
			for _, s := range all {
				s.send(t, g.addr)
			}
			if len(all) < 1000 {
				t.Errorf("there are only %d cases", len(all))
			}
			used := before - c.get(t, "/pet/a").want(t, 200, "").number("X-RateLimit-Remaining")
			if got := b.hits() - hits; got > used {
				t.Errorf("%d requests reached the backend, %d were counted", got, used)
			}
			for _, r := range b.seen() {
				if strings.Contains(r.path, "poison") || r.path != "/a" {
					t.Errorf("the backend saw %s %s", r.method, r.path)
				}
			}
		})
	}
}

// send sends the case over a connection of its own, and holds the gateway to it.
func (s *smuggling) send(t *testing.T, addr string) {
	t.Helper()
	got, closed := raw(t, addr, s.text, 5*time.Second)
	all := statuses(got)
	switch {
	case !closed:
		t.Errorf("%s: the connection stays open; got %q", s.name, got)
	case s.passed == 0 && s.refused == nil && len(all) > 0:
	case s.passed > 0 && len(all) == s.passed && !slices.ContainsFunc(all, func(n int) bool { return n != 200 }):
	case len(s.refused) > 0 && len(all) == 1 && slices.Contains(s.refused, all[0]) && strings.Contains(got, `{"code":"`+itoa(all[0])+`","message":"`):
	default:
		t.Errorf("%s: got %q, want %d times 200 or one of %v", s.name, got, s.passed, s.refused)
	}
}

// startGoProxy starts the reverse proxy of Go's library before a backend.
func startGoProxy(t *testing.T, to string) string {
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u) }})
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL
}
