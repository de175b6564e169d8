package http2

import (
	"bytes"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/upstream"
)

// A script is frames that a client sends with pauses.
type script struct {
	bytes.Buffer
	*h2.Framer
	head []byte // of a GET, encoded
}

func newScript() *script {
	s := &script{}
	s.Framer = h2.NewFramer(&s.Buffer, nil)
	s.AllowIllegalWrites = true
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	e.SetMaxDynamicTableSize(0) // so that it can be sent more than once
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "weir.test"}, {":path", "/"}} {
		e.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	s.head = block.Bytes()
	s.WriteString(h2.ClientPreface)
	s.WriteSettings()
	return s
}

// begin writes the beginning of a head on a stream.
func (s *script) begin(id uint32) {
	s.WriteHeaders(h2.HeadersFrameParam{StreamID: id, BlockFragment: s.head, EndStream: true})
}

// take returns what was written since the last time.
func (s *script) take() []byte { return bytes.Clone(s.Next(s.Len())) }

// TestSlowHeads begins heads and doesn't end them, or drips them in, in virtual
// time: the connection ends with the time for a head, whatever else is going on.
func TestSlowHeads(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before func(s *script) // what is sent at once
		drip   func(s *script) // and then five times a second
	}{
		{"nothing more", func(s *script) { s.begin(1) }, func(*script) {}},
		{"continuations", func(s *script) { s.begin(1) }, func(s *script) { s.WriteContinuation(1, false, []byte{0x90}) }},
		{"one frame", func(s *script) { s.Write([]byte{0, 0x20, 0, 1, 5, 0, 0, 0, 1, 0x82}) }, func(s *script) { s.WriteByte(0x90) }},
		{"one frame after the first", func(s *script) {
			s.begin(1)
			s.Write([]byte{0, 0x20, 0, 9, 4, 0, 0, 0, 1, 0x82})
		}, func(s *script) { s.WriteByte(0x90) }},
		{"beside a call", func(s *script) {
			s.begin(1)
			s.WriteContinuation(1, true, nil)
			s.begin(3)
		}, func(*script) {}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hold := make(chan struct{})
				p := &pipeline{refuse: &gateway.Answer{Status: 429}, look: func(*gateway.Exchange) { <-hold }}
				server, err := New(Options{Pipeline: p, Targets: &upstream.Registry{}})
				if err != nil {
					t.Fatal(err)
				}
				ours, theirs := net.Pipe()
				go io.Copy(io.Discard, theirs)
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					s := newScript()
					for tt.before(s); ; tt.drip(s) {
						if _, err := theirs.Write(s.take()); err != nil {
							return
						}
						time.Sleep(time.Second / 5)
					}
				}()
				began := time.Now()
				server.ServeConn(ours)
				if took := time.Since(began); took < 4*time.Second || took > 6*time.Second {
					t.Errorf("closed after %v, want 5s", took)
				}
				close(hold)
				theirs.Close()
				server.Shutdown(t.Context())
				<-ended
			})
		})
	}
}

// TestPausedHeads sends heads in two pieces, the second in time: all are answered,
// however long the connection lasts.
func TestPausedHeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, err := New(Options{Pipeline: &pipeline{refuse: &gateway.Answer{Status: 429}}, Targets: &upstream.Registry{}})
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := net.Pipe()
		go server.ServeConn(ours)
		answers := make(chan string, 1)
		go func() {
			defer close(answers)
			f := h2.NewFramer(nil, theirs)
			f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
			for {
				frame, err := f.ReadFrame()
				if err != nil {
					return
				}
				if head, ok := frame.(*h2.MetaHeadersFrame); ok {
					answers <- head.PseudoValue("status")
				}
			}
		}()
		s := newScript()
		for i := range uint32(10) {
			s.begin(2*i + 1)
			theirs.Write(s.take())
			time.Sleep(4 * time.Second)
			s.WriteContinuation(2*i+1, true, nil)
			theirs.Write(s.take())
			if got := <-answers; got != "429" {
				t.Fatalf("head %d: got %q", i, got)
			}
		}
		theirs.Close()
		server.Shutdown(t.Context())
	})
}
