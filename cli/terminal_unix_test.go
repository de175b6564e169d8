//go:build linux

package cli

import (
	"bytes"
	"context"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// newTerminal returns both sides of a terminal of so many columns: what a program
// writes to, and where it is looked at.
func newTerminal(t *testing.T, columns uint16) (program, screen *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { screen.Close() })
	raw, err := screen.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	_ = raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
		if err == nil {
			err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: 20})
		}
	})
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	program, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { program.Close() })
	return program, screen
}

func TestOpenTerminal(t *testing.T) {
	none := func(string) string { return "" }
	program, _ := newTerminal(t, 57)
	term, ok := openTerminal(program, none)
	if !ok {
		t.Fatal("a terminal is none")
	}
	if columns, rows := term.size(); columns != 57 || rows != 20 {
		t.Errorf("%d columns and %d rows, want 57 and 20", columns, rows)
	}
	if _, ok := openTerminal(program, func(string) string { return "dumb" }); ok {
		t.Error("a dumb terminal can't move its cursor")
	}
	if _, ok := openTerminal(&bytes.Buffer{}, none); ok {
		t.Error("a buffer is a terminal")
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if _, ok := openTerminal(null, none); ok {
		t.Errorf("%s is a terminal", os.DevNull)
	}
}

// On a terminal, progress is one line that is drawn again and gone at the end.
func TestLoadOnTerminal(t *testing.T) {
	program, view := newTerminal(t, 60)
	var shown screen
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, err := view.Read(buf)
			if err != nil {
				return
			}
			_, _ = shown.Write(buf[:n])
		}
	}()
	var out bytes.Buffer
	err := Run(t.Context(), Env{
		Args:   []string{"load", newShop(t).URL, "--rate", "100", "--duration", "700ms"},
		Stdout: &out, Stderr: program, Getenv: func(string) string { return "" },
	})
	if err != nil {
		t.Fatal(err)
	}
	shown.wait(t, `\] +\d+ %  \d+ sent, \d+ admitted`, 2)
	program.Close()
	<-done
	lines := strings.Split(shown.String(), "\r")
	for _, line := range lines {
		if n := columnsOfText(strings.TrimSuffix(line, ansiClearLine)); n > 59 {
			t.Errorf("a line of %d columns on a terminal of 60: %q", n, line)
		}
	}
	if last := lines[len(lines)-1]; last != ansiClearLine {
		t.Errorf("at the end there is %q", last)
	}
	if !strings.Contains(out.String(), "admitted") || strings.Contains(out.String(), "\x1b") {
		t.Errorf("printed %q", out.String())
	}
}

// On a terminal, top shows itself on a screen of its own again and again, and
// leaves everything as it was.
func TestTopOnTerminal(t *testing.T) {
	program, view := newTerminal(t, 70)
	var shown screen
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(&shown, view) // until the terminal is closed
	}()
	s := newManager(t, true, someStats, someKeys)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Env{
			Args:   []string{"top", "--url", s.URL, "--interval", "100ms"},
			Stdout: program, Stderr: io.Discard, Getenv: func(string) string { return "" },
		})
	}()
	shown.wait(t, `for 29\.0 s`, 3)
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	program.Close()
	<-done
	text := shown.String()
	if !strings.HasPrefix(text, ansiOtherScreen+ansiHideCursor+ansiHome) || !strings.HasSuffix(text, ansiShowCursor+ansiScreen) {
		t.Errorf("it begins with %.40q and ends with %q", text, text[max(len(text)-40, 0):])
	}
	if strings.Contains(text, "\x1b[2J") {
		t.Error("a key cleared the screen")
	}
}
