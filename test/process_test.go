package test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weir-project/weir/test/realserver"
)

// patience is how long anything is waited for before it counts as lost.
const patience = 20 * time.Second

// until calls done again and again until it is true, and fails the test if that
// takes too long.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !done(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s in vain for: %s", patience, what)
		}
	}
}

// An output is what a process has printed so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// lines returns the lines printed since mark, a length of String.
func (o *output) lines(mark int) []string {
	var lines []string
	for line := range strings.Lines(o.String()[mark:]) {
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
	return lines
}

// A process is one run of the binary that goes on until it is stopped.
type process struct {
	t              testing.TB
	cmd            *exec.Cmd
	stdout, stderr output
	done           chan struct{}
	err            error // once done is closed
	stopping       bool  // it has been told to stop; told twice, it would not wait
}

// start starts the binary in dir. The test stops it at its end if it hasn't.
func start(t testing.TB, dir string, args ...string) *process {
	t.Helper()
	return startBinary(t, server, dir, args...)
}

// startBinary starts one of the binaries.
func startBinary(t testing.TB, binary, dir string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(binary, args...), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, &p.stdout, &p.stderr
	p.cmd.Env = append(os.Environ(), "GORACE=halt_on_error=0 exitcode=66", "NO_PROXY=*")
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.stop(syscall.SIGTERM)
		if t.Failed() {
			t.Logf("weir %s printed:\n%s%s", strings.Join(args, " "), p.stdout.String(), tail(p.stderr.String()))
		}
	})
	return p
}

// tail returns the last of a long text.
func tail(s string) string {
	if len(s) > 6000 {
		return "...\n" + s[len(s)-6000:]
	}
	return s
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	p.stopping = p.stopping || s != syscall.SIGHUP
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Errorf("signal %v: %v", s, err)
	}
}

// ended reports whether the process is gone.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop sends s, waits for the end, and holds it to exit code 0 and a clean log.
func (p *process) stop(s os.Signal) {
	p.t.Helper()
	if !p.ended() && !p.stopping {
		p.signal(s)
	}
	select {
	case <-p.done:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill() // it may end between the two
		<-p.done
		p.t.Errorf("the process did not stop within %s of %v", patience, s)
	}
	if p.err != nil {
		p.t.Errorf("the process ended with %v", p.err)
	}
	for _, bad := range []string{"DATA RACE", "panic:", "fatal error:", "goroutine "} {
		if log := p.stderr.String(); strings.Contains(log, bad) {
			p.t.Errorf("the log has %q:\n%s", bad, tail(log))
			return
		}
	}
}

// A result is what came of a run that ends by itself.
type result struct {
	code           int
	stdout, stderr string
}

// weir runs the binary in dir to its end.
func weir(t testing.TB, dir string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, plain, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("weir %s: %v", strings.Join(args, " "), err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// must runs the binary to its end, which has to be a good one.
func must(t testing.TB, dir string, args ...string) result {
	t.Helper()
	r := weir(t, dir, args...)
	if r.code != 0 {
		t.Fatalf("weir %s: exit code %d\n%s%s", strings.Join(args, " "), r.code, r.stdout, r.stderr)
	}
	return r
}

// freePort returns a port of loopback that nobody listens on.
func freePort(t testing.TB) int {
	t.Helper()
	port, err := strconv.Atoi(realserver.FreePort(t))
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func local(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }
