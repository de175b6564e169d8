package telemetry

import (
	"bytes"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestNewLogger(t *testing.T) {
	tests := []struct {
		format LogFormat
		level  slog.Level
		want   []string // one for each line
	}{
		{Text, slog.LevelInfo, []string{`level=INFO msg="artifact applied" apis=2`, `level=WARN msg=odd`}},
		{"", slog.LevelWarn, []string{`level=WARN msg=odd`}},
		{JSON, slog.LevelWarn, []string{`"level":"WARN","msg":"odd"`}},
		{JSON, slog.LevelError, nil},
	}
	for _, tt := range tests {
		var b bytes.Buffer
		log, err := NewLogger(&b, tt.format, tt.level)
		if err != nil {
			t.Fatalf("%s: %v", tt.format, err)
		}
		log.Debug("detail")
		log.Info("artifact applied", "apis", 2)
		log.Warn("odd")
		got := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		if b.Len() == 0 {
			got = nil
		}
		if len(got) != len(tt.want) {
			t.Errorf("%s at %v: got %q, want %q", tt.format, tt.level, got, tt.want)
			continue
		}
		for i, want := range tt.want {
			if !strings.Contains(got[i], want) {
				t.Errorf("%s at %v: line %d: got %s, want %s in it", tt.format, tt.level, i, got[i], want)
			}
		}
	}
}

func TestNewLoggerRefusesUnknownFormats(t *testing.T) {
	if _, err := NewLogger(&bytes.Buffer{}, "xml", slog.LevelInfo); err == nil || !strings.Contains(err.Error(), `"xml"`) {
		t.Errorf("got %v, want an error that names the format", err)
	}
}

func TestLogLevelChangesWhileInUse(t *testing.T) {
	var b bytes.Buffer
	var level slog.LevelVar
	log, err := NewLogger(&b, Text, &level)
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("before")
	level.Set(slog.LevelDebug)
	log.Debug("after")
	if got := b.String(); strings.Contains(got, "before") || !strings.Contains(got, "after") {
		t.Errorf("got %q, want only the second line", got)
	}
}

// TestLogIsOneLine shows that what a client sends cannot forge or flood the log.
func TestLogIsOneLine(t *testing.T) {
	for _, format := range []LogFormat{Text, JSON} {
		var b bytes.Buffer
		log, err := NewLogger(&b, format, slog.LevelInfo)
		if err != nil {
			t.Fatal(err)
		}
		log.Info("refused", "path", "/pets\r\nlevel=ERROR msg=forged\x1b[2J", "user", strings.Repeat("a", 1<<20))
		got := b.String()
		if strings.Count(got, "\n") != 1 || strings.ContainsAny(got, "\r\x1b") {
			t.Errorf("%s: not one clean line: %q", format, got[:200])
		}
		if len(got) > 2*maxValue {
			t.Errorf("%s: a line of %d bytes", format, len(got))
		}
	}
}

func TestHandler(t *testing.T) {
	h := Handler(NewRegistry("1.2.3"))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	got := w.Body.String()
	for _, want := range []string{
		`weir_build_info{version="1.2.3"} 1`,
		"go_goroutines ",
		"process_resident_memory_bytes ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	if got := w.Header().Get("Content-Type"); !strings.HasPrefix(got, "text/plain") {
		t.Errorf("content type %q", got)
	}
}
