//go:build unix

package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// windowSize returns the size of the terminal that f is; it is not ok if f is none.
func windowSize(f *os.File) (columns, rows int, ok bool) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, 0, false
	}
	_ = raw.Control(func(fd uintptr) { // it fails on a closed file, which is no terminal
		if size, err := unix.IoctlGetWinsize(int(fd), unix.TIOCGWINSZ); err == nil {
			columns, rows, ok = int(size.Col), int(size.Row), true
		}
	})
	return columns, rows, ok
}
