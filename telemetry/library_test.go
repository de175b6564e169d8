package telemetry

import (
	"bytes"
	"log"
	"os"
	"strings"
	"testing"
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
