package test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A client calls the gateway in one way.
type client struct {
	http *http.Client
	base string // scheme://host:port
}

// newClient returns a client that keeps up to conns connections.
func newClient(t testing.TB, base string, transport http.RoundTripper) *client {
	c := &client{&http.Client{
		Transport: transport, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, base}
	t.Cleanup(c.http.CloseIdleConnections)
	return c
}

// h1 returns a client that speaks HTTP/1.1 in the clear.
func (g *gatewayProcess) h1(t testing.TB) *client {
	return newClient(t, "http://"+g.addr, &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true})
}

// h2c returns a client that speaks HTTP/2 in the clear.
func (g *gatewayProcess) h2c(t testing.TB) *client {
	only := new(http.Protocols)
	only.SetUnencryptedHTTP2(true)
	return newClient(t, "http://"+g.addr, &http.Transport{Protocols: only, DisableCompression: true})
}

// h2 returns a client that speaks HTTP/2 over TLS.
func (g *gatewayProcess) h2(t testing.TB, roots *x509.CertPool) *client {
	only := new(http.Protocols)
	only.SetHTTP2(true)
	return newClient(t, "https://"+g.secure, &http.Transport{
		Protocols: only, DisableCompression: true,
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	})
}

// A reply is what a client got.
type reply struct {
	*http.Response
	text string
}

// A refusal is the body of one, in JSON.
type refusal struct {
	Code, Message, Description, Level, Policy string
	NextAccessTime                            string
}

// do makes a call; header is name, value, name, value ...
func (c *client) do(method, path, body string, header ...string) (reply, error) {
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, c.base+path, r)
	if err != nil {
		return reply{}, err
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return reply{resp, string(text)}, err
}

// get makes a call that has to be answered.
func (c *client) get(t testing.TB, path string, header ...string) reply {
	t.Helper()
	return c.call(t, http.MethodGet, path, "", header...)
}

func (c *client) call(t testing.TB, method, path, body string, header ...string) reply {
	t.Helper()
	r, err := c.do(method, path, body, header...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

// refusal returns the body of a refusal.
func (r reply) refusal(t testing.TB) refusal {
	t.Helper()
	var out refusal
	d := json.NewDecoder(strings.NewReader(r.text))
	d.DisallowUnknownFields()
	if err := d.Decode(&out); err != nil {
		t.Fatalf("status %d, body %q: %v", r.StatusCode, r.text, err)
	}
	return out
}

// want fails the test unless the reply is as it should be; an empty code is none.
func (r reply) want(t testing.TB, status int, code string) reply {
	t.Helper()
	got := ""
	if r.StatusCode >= 400 && r.Header.Get("X-Backend") == "" {
		got = r.refusal(t).Code
	}
	if r.StatusCode != status || got != code {
		t.Fatalf("got status %d, code %q, want %d, %q; body %q", r.StatusCode, got, status, code, r.text)
	}
	return r
}

// number returns a field of the reply's header that is a number, -1 if it isn't there.
func (r reply) number(name string) int {
	n, err := strconv.Atoi(r.Header.Get(name))
	if err != nil {
		return -1
	}
	return n
}

// raw sends text over a connection of its own and returns all that comes back
// until the gateway closes it, or nothing has come for quiet.
func raw(t testing.TB, addr, text string, quiet time.Duration) (got string, closed bool) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, text) // the gateway may have closed it by then
	return drain(conn, quiet)
}

// drain reads until the other end closes, or nothing has come for quiet.
func drain(conn net.Conn, quiet time.Duration) (got string, closed bool) {
	var all bytes.Buffer
	buf := make([]byte, 16<<10)
	for {
		_ = conn.SetReadDeadline(time.Now().Add(quiet)) // a closed connection says so when it is read
		n, err := conn.Read(buf)
		all.Write(buf[:n])
		if err != nil {
			ne, ok := err.(net.Error)
			return all.String(), !ok || !ne.Timeout()
		}
	}
}

var statusLine = regexp.MustCompile(`HTTP/1\.[01] (\d{3}) `)

// statuses returns those of the answers that came over a raw connection.
func statuses(text string) []int {
	var all []int
	for _, m := range statusLine.FindAllStringSubmatch(text, -1) {
		n, _ := strconv.Atoi(m[1]) // it is three digits
		all = append(all, n)
	}
	return all
}

func itoa(n int) string { return strconv.Itoa(n) }
