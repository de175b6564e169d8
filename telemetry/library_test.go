package telemetry

import (
	"bytes"
	"log"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What a library logs becomes one line of ours, short and escaped.
func TestAdoptLog(t *testing.T) {
	var out bytes.Buffer
	l, err := NewLogger(&out, Text, nil)
	if err != nil {
		t.Fatal(err)
	}
	flags := log.Flags()
	defer func() {
		log.SetOutput(os.Stderr)
		log.SetFlags(flags)
	}()
	AdoptLog(l)
	log.Printf("Unsolicited response %q\nlevel=ERROR \x1b[31m%s", "x", strings.Repeat("y", 5000))
	got := out.String()
	if strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=WARN") || strings.Contains(got, "\x1b") {
		t.Errorf("logged %q, want one escaped line", got)
	}
	if len(got) > 1400 {
		t.Errorf("logged %d bytes, want about a kilobyte", len(got))
	}
}

// A flood of lines leaves a few, and how many there were; panics are never left out.
func TestLibraryLogIsNoFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l, err := NewLogger(&out, Text, nil)
		if err != nil {
			t.Fatal(err)
		}
		w := log.New(&libraryLog{log: l}, "", 0)
		for range 1000 {
			w.Print("http: TLS handshake error from 192.0.2.1:4711: EOF")
		}
		if n := strings.Count(out.String(), "\n"); n != few {
			t.Errorf("1000 lines became %d, want %d", n, few)
		}
		w.Print("http: panic serving 192.0.2.1:4711: index out of range")
		if !strings.Contains(out.String(), "panic serving") || !strings.Contains(out.String(), "left_out=995") {
			t.Errorf("a panic was left out, or what was left out before it:\n%s", out.String())
		}
		out.Reset()
		time.Sleep(period)
		w.Print("later")
		if got := out.String(); !strings.Contains(got, "text=later") || strings.Contains(got, "left_out") {
			t.Errorf("after a while, logged %q", got)
		}
	})
}
