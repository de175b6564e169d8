package http1

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/weir-project/weir/gateway/upstream"
)

// disguises are spellings of a transfer coding that some server takes for chunked
// and another does not.
func disguises() []string {
	const te, chunked = "Transfer-Encoding", "chunked"
	all := []string{
		te + ": " + chunked, te + ":" + chunked, te + ":\t" + chunked, te + ":  " + chunked, te + ": " + chunked + " ", te + ": " + chunked + "\t",
		strings.ToLower(te) + ": " + chunked, strings.ToUpper(te) + ": CHUNKED", te + ": cHuNkEd",
		te + " : " + chunked, te + "\t: " + chunked, te + "\x00: " + chunked, " " + te + ": " + chunked, "\t" + te + ": " + chunked,
		"X: y\n" + te + ": " + chunked, "X: y\r" + te + ": " + chunked, te + "\r\n : " + chunked, te + ":\r\n " + chunked, te + ":\n " + chunked,
		te + ": x" + chunked, te + ": " + chunked + "x", te + ": \"" + chunked + "\"", te + ": '" + chunked + "'", te + ": [" + chunked + "]",
		te + ": identity, " + chunked, te + ": " + chunked + ", identity", te + ": gzip, " + chunked, te + ": " + chunked + ", cow", te + ": , " + chunked, te + ": " + chunked + ",",
		te + ": identity\r\n" + te + ": " + chunked, te + ": " + chunked + "\r\n" + te + ": identity", te + ": " + chunked + "\r\n" + te + ": cow",
		te + ": " + chunked + ";q=1", te + ": " + chunked + " ;", te + ": " + chunked + "\x00", te + ": " + chunked + "\x0b", te + ": \x0b" + chunked, te + ": \x0c" + chunked,
		te + ": " + chunked + "\xa0", te + ": \xff" + chunked, te + ": \xc2\xa0" + chunked, "Transfer_Encoding: " + chunked, "Transfer-Encoding_: " + chunked,
		"Transfer.Encoding: " + chunked, "Transfer\u2010Encoding: " + chunked, "Transfer-Encod\u0131ng: " + chunked, "TransferEncoding: " + chunked, "X-" + te + ": " + chunked,
		te + "; " + chunked, te + " " + chunked, te + "=" + chunked, "\"" + te + "\": " + chunked, "Foo: bar\r\n\r" + te + ": " + chunked, "Content-Encoding: " + chunked,
		te + ":: " + chunked, ":" + te + ": " + chunked, te + ":\x1f" + chunked, te + "\x08: " + chunked, "Connection: " + te + "\r\n" + te + ": " + chunked,
	}
	// Every byte that is no letter, at the four places where it could be missed.
	for c := range 256 {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '\r', c == '\n':
			continue
		}
		b := string([]byte{byte(c)})
		all = append(all, b+te+": "+chunked, te+b+": "+chunked, te+":"+b+chunked, te+": "+chunked+b)
	}
	return all
}

// A heardBackend keeps what it understands of what it gets: it is net/http, behind
// which poison would show as a request.
type heardBackend struct {
	mu    sync.Mutex
	paths []string
}

func (h *heardBackend) serve(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	h.mu.Lock()
	h.paths = append(h.paths, r.URL.Path)
	h.mu.Unlock()
}

// Whatever a client does to its heads, the backend sees the requests that were
// admitted, and no other.
func TestSmuggling(t *testing.T) {
	heard := &heardBackend{}
	backend := newBackend(t, heard.serve)
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
	f := newFront(t, Options{Pipeline: p})
	tries := 0
	try := func(name, text string) {
		tries++
		nc, err := net.Dial("tcp", f.addr)
		if err != nil {
			t.Fatal(err)
		}
		c := &client{t, nc, bufio.NewReader(nc)}
		defer nc.Close()
		_, _ = io.WriteString(nc, text)
		_ = nc.(*net.TCPConn).CloseWrite()
		for n := 0; ; n++ {
			res, err := http.ReadResponse(c.r, nil)
			if err != nil {
				if n == 0 {
					t.Errorf("%s: %q: no answer: %v", name, text, err)
				}
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			if res.StatusCode >= 400 && !res.Close {
				t.Errorf("%s: %q: got %d on a connection that is kept", name, text, res.StatusCode)
			}
		}
	}
	const inner = "GET /poison HTTP/1.1\r\nHost: a\r\n\r\n"
	for _, d := range disguises() {
		// To one that goes by the length, the inner request is a body; to one
		// that goes by the chunks, it is a request.
		body := "0\r\n\r\n" + inner
		try("length first", fmt.Sprintf("POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n%s\r\n\r\n%s", len(body), d, body))
		// And the other way round.
		chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(inner), inner)
		try("chunks first", fmt.Sprintf("POST /first HTTP/1.1\r\nHost: a\r\n%s\r\nContent-Length: %d\r\n\r\n%s", d, strings.Index(chunk, inner), chunk))
	}
	admitted := p.admissions()
	heard.mu.Lock()
	defer heard.mu.Unlock()
	poisoned := slices.DeleteFunc(slices.Clone(heard.paths), func(path string) bool { return path != "/poison" })
	counted := slices.DeleteFunc(slices.Clone(admitted), func(a string) bool { return a != "GET /poison" })
	if len(poisoned) > len(counted) || len(heard.paths) > len(admitted) {
		t.Errorf("%d of %d requests at the backend are poison, %d of %d were counted",
			len(poisoned), len(heard.paths), len(counted), len(admitted))
	}
	if tries < 300 {
		t.Errorf("only %d tries", tries)
	}
}

// A chunked request in any disguise that is accepted has a meaning of its own: no
// disguise of a coding is passed on to the backend.
func TestDisguisesAreNotPassedOn(t *testing.T) {
	for _, d := range disguises() {
		q, done, status := parseRequest("POST / HTTP/1.1\r\nHost: a\r\n" + d + "\r\n\r\n")
		if !done || status != 0 {
			continue
		}
		for i := range q.fields {
			f := &q.fields[i]
			name := strings.ToLower(q.text(f.name))
			if f.kind.passes() && strings.NewReplacer("_", "-", " ", "").Replace(name) == "transfer-encoding" {
				t.Errorf("%q is passed on", d)
			}
		}
		if q.length == -1 && !strings.EqualFold(strings.Trim(d[strings.LastIndexByte(d, ':')+1:], " \t"), "chunked") {
			t.Errorf("%q is taken for chunked", d)
		}
	}
}
