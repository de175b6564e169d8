package socket

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// pair returns both ends of a connection.
func pair(t testing.TB) (client, server *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		a.Close()
		b.Close()
	})
	return a.(*net.TCPConn), b.(*net.TCPConn)
}

// becomes waits until p sees want.
func becomes(t *testing.T, p *Probe, want State) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for p.Look() != want {
		if time.Now().After(deadline) {
			t.Fatalf("got %d, want %d", p.Look(), want)
		}
		<-time.After(time.Millisecond)
	}
}

func TestLook(t *testing.T) {
	client, server := pair(t)
	var p Probe
	p.Attach(server)
	if got := p.Look(); got != Quiet {
		t.Errorf("nothing sent: got %d, want %d", got, Quiet)
	}
	_, _ = client.Write([]byte("ab"))
	becomes(t, &p, Waiting)
	b := make([]byte, 10)
	if n, _ := server.Read(b); string(b[:n]) != "ab" {
		t.Errorf("read %q after looking, want ab", b[:n])
	}
	becomes(t, &p, Quiet)
	client.Close()
	becomes(t, &p, Ended)
	server.Close()
	if got := p.Look(); got != Ended {
		t.Errorf("closed on our side: got %d, want %d", got, Ended)
	}
	p.Detach()
	if got := p.Look(); got != Quiet {
		t.Errorf("detached: got %d, want %d", got, Quiet)
	}
}

func TestLookAtReset(t *testing.T) {
	client, server := pair(t)
	var p Probe
	p.Attach(server)
	_ = client.SetLinger(0)
	client.Close()
	becomes(t, &p, Ended)
}

func TestLookUnderTLS(t *testing.T) {
	client, server := pair(t)
	var p Probe
	p.Attach(tls.Server(server, &tls.Config{}))
	if got := p.Look(); got != Quiet {
		t.Errorf("got %d, want %d", got, Quiet)
	}
	client.Close()
	becomes(t, &p, Ended)
}

func TestNoSocket(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	var p Probe
	p.Attach(a)
	if got := p.Look(); got != Quiet {
		t.Errorf("got %d, want %d", got, Quiet)
	}
	if begins, err := Begins(a, "x"); begins || err != nil {
		t.Errorf("got %v, %v; want false, nil", begins, err)
	}
}

func TestLookAllocatesNothing(t *testing.T) {
	_, server := pair(t)
	var p Probe
	p.Attach(server)
	if n := testing.AllocsPerRun(1000, func() { p.Look() }); n > 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkLook(b *testing.B) {
	_, server := pair(b)
	var p Probe
	p.Attach(server)
	for b.Loop() {
		p.Look()
	}
}

func TestBegins(t *testing.T) {
	const preface = "PRI * HTTP/2.0\r\n"
	for _, r := range []struct {
		text string
		want bool
	}{
		{preface, true}, {preface + "more", true}, {"GET / HTTP/1.1\r\n", false}, {"P", false}, {"POST / HTTP/1.1\r\n", false}, {"PRI * HTTP/1.1\r\n\r\n", false},
	} {
		for _, size := range []int{1, 3, len(r.text)} {
			client, server := pair(t)
			go func() {
				for rest := r.text; rest != ""; {
					n := min(size, len(rest))
					_, _ = io.WriteString(client, rest[:n])
					rest = rest[n:]
					<-time.After(time.Millisecond)
				}
				if r.text == "P" {
					client.Close()
				}
			}()
			wait := 5 * time.Second
			if r.text == "P" {
				wait = 50 * time.Millisecond // its end can't be seen behind it
			}
			_ = server.SetReadDeadline(time.Now().Add(wait))
			got, err := Begins(server, preface)
			if got != r.want || err != nil && r.text != "P" {
				t.Errorf("%q in pieces of %d: got %v, %v; want %v", r.text, size, got, err, r.want)
			}
			if r.text == "P" {
				continue
			}
			b := make([]byte, len(r.text))
			if _, err := io.ReadFull(server, b); err != nil || string(b) != r.text {
				t.Errorf("%q in pieces of %d: then read %q, %v", r.text, size, b, err)
			}
		}
	}
}

func TestBeginsGivesUp(t *testing.T) {
	client, server := pair(t)
	_, _ = io.WriteString(client, "PRI")
	_ = server.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
	if begins, err := Begins(server, "PRI * HTTP/2.0"); begins || err == nil || !strings.Contains(err.Error(), os.ErrDeadlineExceeded.Error()) {
		t.Errorf("got %v, %v; want false and a timeout", begins, err)
	}
}
