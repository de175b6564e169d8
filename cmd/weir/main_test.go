package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asMain makes this test binary be the program.
const asMain = "WEIR_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		os.Exit(run())
	}
	os.Exit(m.Run())
}

// program returns the program with arguments, in an environment of its own.
func program(t *testing.T, tmp string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), self, args...)
	c.Env = append(os.Environ(), asMain+"=1", "TMPDIR="+tmp)
	return c
}

func TestExitCodes(t *testing.T) {
	for _, tt := range []struct {
		args []string
		code int
	}{
		{[]string{"version"}, 0},
		{[]string{"build", "nowhere"}, 1},
		{[]string{"frobnicate"}, 2},
	} {
		err := program(t, t.TempDir(), tt.args...).Run()
		code := 0
		if e, ok := err.(*exec.ExitError); ok {
			code = e.ExitCode()
		}
		if code != tt.code {
			t.Errorf("weir %s: exit %d, want %d", strings.Join(tt.args, " "), code, tt.code)
		}
	}
}

var (
	apiLine = regexp.MustCompile(`API +(http://127\.0\.0\.1:\d+/petstore/v1) `)
	keyLine = regexp.MustCompile(`API key +(\S+)`)
)

// TestDemo does what 'make run' says there is to try, and stops it with ^C.
func TestDemo(t *testing.T) {
	tmp := t.TempDir()
	c := program(t, tmp, "demo")
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	text, out := "", bufio.NewReader(stdout)
	for !strings.Contains(text, "/pets/1\n") {
		line, err := out.ReadString('\n')
		if err != nil {
			t.Fatalf("%v: %s%s", err, text, stderr.String())
		}
		text += line
	}
	api, key := apiLine.FindStringSubmatch(text), keyLine.FindStringSubmatch(text)
	if api == nil || key == nil {
		t.Fatalf("no URL or no key in what it prints:\n%s", text)
	}
	tryDemo(t, api[1], key[1])

	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(out)
	if err := c.Wait(); err != nil {
		t.Errorf("stopped with %v: %s", err, stderr.String())
	}
	if !strings.Contains(string(rest), "Stopped.") || stderr.Len() > 0 {
		t.Errorf("stopping printed %q and, as errors, %q", rest, stderr.String())
	}
	left, err := os.ReadDir(tmp)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// tryDemo makes eleven calls within one minute of the clock.
func tryDemo(t *testing.T, api, key string) {
	t.Helper()
	// All of them must be of one minute of the clock.
	if left := time.Until(time.Now().Truncate(time.Minute).Add(time.Minute)); left < 5*time.Second {
		<-time.After(left)
	}
	for i := range 11 {
		status, body := call(t, api+"/pets", key)
		switch {
		case i < 10 && status != http.StatusOK:
			t.Errorf("call %d: got %d %s, want 200", i+1, status, body)
		case i == 10 && (status != http.StatusTooManyRequests || !strings.Contains(body, `"level":"application","policy":"10PerMin"`)):
			t.Errorf("call 11: got %d %s", status, body)
		}
	}
	if status, _ := call(t, api+"/health", ""); status != http.StatusOK {
		t.Errorf("without a key, what anybody may ask: got %d", status)
	}
	if status, _ := call(t, api+"/pets/1", ""); status != http.StatusUnauthorized {
		t.Errorf("without a key: got %d, want 401", status)
	}
}

func call(t *testing.T, url, key string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("ApiKey", key)
	}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	body, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.StatusCode, string(body)
}
