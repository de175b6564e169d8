package http2

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir/gateway/upstream"
)

func TestTimeouts(t *testing.T) {
	release := make(chan struct{})
	url := backend(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/quiet":
			io.WriteString(w, "begun")
			http.NewResponseController(w).Flush()
		case "/upload":
			io.Copy(io.Discard, r.Body)
			return
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer close(release)
	reach := upstream.Options{IdleTimeout: 50 * time.Millisecond}
	t.Run("head", func(t *testing.T) {
		p := &pipeline{timeout: 50 * time.Millisecond}
		d := openWith(t, p, Options{}, reach, nil, url)
		res, _ := get(t, client(t), request(t, "GET", "http://"+d.addr+"/", nil))
		if got := p.outcome(t, 1); res.StatusCode != 504 || got.Status != 504 || !got.Forwarded {
			t.Errorf("got %d, outcome %+v, want 504", res.StatusCode, got)
		}
	})
	t.Run("quiet", func(t *testing.T) {
		p := &pipeline{}
		d := openWith(t, p, Options{}, reach, nil, url)
		res, err := client(t).Do(request(t, "GET", "http://"+d.addr+"/quiet", nil))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if b, err := io.ReadAll(res.Body); err == nil || string(b) != "begun" {
			t.Errorf("got %q, %v, want a broken stream", b, err)
		}
	})
	t.Run("slow upload", func(t *testing.T) {
		p := &pipeline{timeout: time.Second}
		d := openWith(t, p, Options{StallTimeout: 50 * time.Millisecond}, reach, nil, url)
		in, out := io.Pipe()
		defer out.Close()
		go out.Write([]byte("a beginning"))
		res, _ := get(t, client(t), request(t, "POST", "http://"+d.addr+"/upload", in))
		if got := p.outcome(t, 1); res.StatusCode != 408 || got.Status != 408 {
			t.Errorf("got %d, outcome %+v, want 408", res.StatusCode, got)
		}
	})
	t.Run("slow download", func(t *testing.T) {
		big := backend(t, func(w http.ResponseWriter, r *http.Request) { io.CopyN(w, zeros{}, 32<<20) })
		p := &pipeline{}
		d := openWith(t, p, Options{WriteTimeout: 50 * time.Millisecond}, upstream.Options{}, nil, big)
		res, err := client(t).Do(request(t, "GET", "http://"+d.addr+"/", nil))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		p.outcome(t, 1) // without a byte being read
	})
}

func TestBodyTooLarge(t *testing.T) {
	url := backend(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	p := &pipeline{}
	d := open(t, p, Options{MaxBody: 1000}, url)
	c := client(t)
	for i, tt := range []struct {
		body   io.Reader
		status int
	}{
		{strings.NewReader(strings.Repeat("x", 1000)), 200},
		{strings.NewReader(strings.Repeat("x", 1001)), 413},
		{io.LimitReader(zeros{}, 1000), 200},
		{io.LimitReader(zeros{}, 1<<20), 413},
	} {
		res, _ := get(t, c, request(t, "POST", "http://"+d.addr+"/", tt.body))
		if got := p.outcome(t, int64(i+1)); res.StatusCode != tt.status || got.Status != tt.status {
			t.Errorf("row %d: got %d, outcome %+v, want %d", i, res.StatusCode, got, tt.status)
		}
	}
}

// TestClientLeaves wants the backend to hear of it, and the call to be charged.
func TestClientLeaves(t *testing.T) {
	arrived, left := make(chan struct{}), make(chan struct{})
	url := backend(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(left)
	})
	p := &pipeline{}
	d := open(t, p, Options{}, url)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	_, err := client(t).Do(request(t, "GET", "http://"+d.addr+"/", nil).WithContext(ctx))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	<-left
	if got := p.outcome(t, 1); got.Status != 0 || !got.Forwarded {
		t.Errorf("got outcome %+v, want none sent, and forwarded", got)
	}
}
