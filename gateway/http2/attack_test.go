package http2

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

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
			if n := p.admitted.Load(); n > 204 { // four are the good client's
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

// TestLateUpdates takes sixteen large answers at a time, and only then says so, twice
// for each piece, as a client does whose own side was busy: the connection must live.
func TestLateUpdates(t *testing.T) {
	const streams, size = 16, 1 << 20
	url := backend(t, func(w http.ResponseWriter, r *http.Request) { io.CopyN(w, zeros{}, size) })
	p := &pipeline{}
	d := open(t, p, Options{}, url)
	c := dial(t, d)
	c.WriteSettings(h2.Setting{ID: h2.SettingInitialWindowSize, Val: 2 * size})
	c.WriteWindowUpdate(0, 2*streams*size)
	for i := range uint32(streams) {
		c.head(2*i+1, true)
	}
	if err := c.send(); err != nil {
		t.Fatal(err)
	}
	if all, _, err := c.replies(streams); err != nil || len(all[1].body) != size {
		t.Fatalf("got %d streams, %v", len(all), err)
	}
	for range streams * size / maxFrame {
		c.WriteWindowUpdate(0, maxFrame)
		c.WriteWindowUpdate(1, maxFrame)
	}
	c.head(2*streams+1, true)
	if err := c.send(); err != nil {
		t.Fatal(err)
	}
	if all, away, err := c.replies(1); err != nil || all[2*streams+1].status != "200" || d.Stats().Abusive != 0 {
		t.Errorf("got %v, GOAWAY %v, %v: work was taken for abuse", all, away, err)
	}
}
