package load

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fake serves connections as a test wants it, and is stopped with the test.
type fake struct {
	url   string
	mu    sync.Mutex
	conns []net.Conn
	group sync.WaitGroup
}

// newFake starts a server on loopback that calls serve with each connection.
func newFake(t testing.TB, serve func(net.Conn)) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{url: "http://" + l.Addr().String() + "/"}
	f.group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			f.conns = append(f.conns, c)
			f.mu.Unlock()
			f.group.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		f.mu.Lock()
		for _, c := range f.conns {
			c.Close()
		}
		f.mu.Unlock()
		f.group.Wait()
	})
	return f
}

// pipes returns a dialer to a server without sockets, for tests in virtual time.
// The server ends with its clients.
func pipes(serve func(net.Conn)) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			serve(server)
		}()
		return client, nil
	}
}

// answering returns what a server does that answers each request as answer says.
func answering(answer func(r *http.Request) string) func(net.Conn) {
	return func(c net.Conn) {
		br := bufio.NewReader(c)
		for {
			r, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			text := answer(r)
			if text == "" {
				return
			}
			if _, err := c.Write([]byte(text)); err != nil {
				return
			}
		}
	}
}

const (
	fineAnswer    = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	refusalPrefix = "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\n"
)

func always(text string) func(*http.Request) string {
	return func(*http.Request) string { return text }
}

// withBody returns an answer with a body.
func withBody(status, body string) string {
	r := http.Response{Status: status, ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(len(body))}
	var b strings.Builder
	r.StatusCode = int(status[0]-'0')*100 + int(status[1]-'0')*10 + int(status[2]-'0')
	r.Body = http.NoBody
	if body != "" {
		r.Body = readCloser{strings.NewReader(body)}
	}
	_ = r.Write(&b) // a builder takes everything
	return b.String()
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// run makes a load and fails the test if it does not come about.
func run(t testing.TB, o Options) *Result {
	t.Helper()
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}
