package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// grace is how long a process may take to stop before it is ended.
const grace = 15 * time.Second

// A Process is one that the cluster started. What it prints is in a file. Nothing is
// ever signalled but such processes, each by its own id while it runs.
type Process struct {
	// Name is for people.
	Name    string
	starter *starter
	dir     string
	program string
	args    []string

	mu     sync.Mutex
	cmd    *exec.Cmd
	done   chan struct{} // closed once it has ended
	wanted bool          // to run: if it ends, that is a fault
}

// A starter starts processes from one thread, which lives as long as it does: Linux
// tells processes to end when the thread that started them ends.
type starter struct{ calls chan func() }

func newStarter() *starter {
	s := &starter{calls: make(chan func())}
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for f := range s.calls {
			f()
		}
	}()
	return s
}

func (s *starter) start(c *exec.Cmd) error {
	err := make(chan error, 1)
	s.calls <- func() { err <- c.Start() }
	return <-err
}

func (s *starter) stop() { close(s.calls) }

// Restart starts the process, which must have ended, again, just as before.
func (p *Process) Restart() error { return p.start(nil) }

// start starts the process. It gets no ^C of the terminal's: whoever started it
// stops it, in order.
func (p *Process) start(env []string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	out, err := os.OpenFile(p.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	if p.cmd != nil {
		env = p.cmd.Env
	} else {
		env = append(os.Environ(), env...)
	}
	cmd := exec.Command(p.program, p.args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = env, p.dir, out, out, attributes()
	if err := p.starter.start(cmd); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	done := make(chan struct{})
	p.cmd, p.done, p.wanted = cmd, done, true
	go func() {
		defer close(done)
		_ = cmd.Wait() // its log says why it ended
	}()
	return nil
}

func (p *Process) log() string { return filepath.Join(p.dir, p.Name+".log") }

// PID returns the process's id.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.Process.Pid
}

// signal sends s unless the process has ended.
func (p *Process) signal(s os.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.done:
		return fmt.Errorf("%s has ended", p.Name)
	default:
		return p.cmd.Process.Signal(s)
	}
}

// Kill ends the process without warning, and returns when it is gone.
func (p *Process) Kill() error {
	p.mu.Lock()
	p.wanted = false
	done := p.done
	p.mu.Unlock()
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-done
	return nil
}

// failed returns why the process has ended, if it should not have. It tells once.
func (p *Process) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.done:
		if p.wanted {
			p.wanted = false
			return fmt.Errorf("%s ended by itself: %s", p.Name, p.tail())
		}
	default:
	}
	return nil
}

// stop asks the process to stop and waits until it has. One that takes too long
// is ended.
func (p *Process) stop() error {
	p.mu.Lock()
	done, wanted := p.done, p.wanted
	p.mu.Unlock()
	if !wanted {
		return nil
	}
	if err := p.failed(); err != nil {
		return err
	}
	_ = p.Resume()                // it may be paused
	_ = p.signal(syscall.SIGTERM) // or have ended just now
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-done:
		return nil
	case <-timer.C:
	}
	_ = p.Kill() // likewise
	return fmt.Errorf("%s did not stop within %s", p.Name, grace)
}

// tail returns the last lines that the process printed.
func (p *Process) tail() string {
	text, err := os.ReadFile(p.log())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(len(lines)-5, 0):], "\n")
}

// stopAll stops processes, the last that was started first.
func stopAll(all []*Process) error {
	var errs []error
	for _, p := range slices.Backward(all) {
		errs = append(errs, p.stop())
	}
	return errors.Join(errs...)
}
