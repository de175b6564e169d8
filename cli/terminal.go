package cli

import (
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// narrow is how wide a terminal is taken to be that does not say.
const narrow = 80

// A terminal is where people look on while a command works.
type terminal struct {
	w io.Writer
	f *os.File
}

// openTerminal returns the terminal that w is; it is not ok if w is none, or one
// that can't move its cursor.
func openTerminal(w io.Writer, getenv func(string) string) (terminal, bool) {
	f, ok := w.(*os.File)
	if !ok || getenv("TERM") == "dumb" {
		return terminal{}, false
	}
	_, _, ok = windowSize(f)
	return terminal{w, f}, ok
}

// size returns how many columns and rows the terminal has now.
func (t terminal) size() (columns, rows int) {
	columns, rows, _ = windowSize(t.f)
	if columns <= 0 {
		columns = narrow
	}
	if rows <= 0 {
		rows = 24
	}
	return columns, rows
}

// What moves the cursor of a terminal and changes what it shows.
const (
	ansiClearLine   = "\x1b[K" // from the cursor to the end of the line
	ansiClearBelow  = "\x1b[J" // from the cursor to the end of the screen
	ansiHome        = "\x1b[H"
	ansiHideCursor  = "\x1b[?25l"
	ansiShowCursor  = "\x1b[?25h"
	ansiOtherScreen = "\x1b[?1049h" // what was there before comes back with ansiScreen
	ansiScreen      = "\x1b[?1049l"
)

// printable returns s with everything escaped that would not just stand there:
// control characters and what steers terminals, directions of writing, bytes that
// are no text. What others can choose goes through here before it is shown.
func printable(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError || columnsOf(r) == 0 }) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\x` + hexByte(s[0]))
		case !unicode.IsPrint(r) || columnsOf(r) == 0:
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		default:
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

func hexByte(c byte) string {
	const hex = "0123456789abcdef"
	return string([]byte{hex[c>>4], hex[c&15]})
}

// fit returns s, which is printable, in columns at most: cut and with … at its
// end if it is longer.
func fit(s string, columns int) string {
	if columnsOfText(s) <= columns {
		return s
	}
	used := 1
	for i, r := range s {
		if used += columnsOf(r); used > columns {
			return s[:i] + strings.Repeat("…", min(columns, 1))
		}
	}
	return s
}

// pad returns s with spaces behind it up to columns.
func pad(s string, columns int) string {
	return s + strings.Repeat(" ", max(columns-columnsOfText(s), 0))
}

// columnsOfText returns how many columns a printable text takes.
func columnsOfText(s string) (n int) {
	for _, r := range s {
		n += columnsOf(r)
	}
	return n
}

// columnsOf returns how many columns a character takes: none, one, or two for
// those of East Asia and for pictures.
func columnsOf(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case r >= 0x1100 && r <= 0x115f, // Hangul that others are joined to
		r >= 0x2e80 && r <= 0xa4cf && r != 0x303f,
		r >= 0xac00 && r <= 0xd7a3,
		r >= 0xf900 && r <= 0xfaff,
		r >= 0xfe30 && r <= 0xfe6f,
		r >= 0xff00 && r <= 0xff60,
		r >= 0xffe0 && r <= 0xffe6,
		r >= 0x1f300 && r <= 0x1faff,
		r >= 0x20000 && r <= 0x3fffd:
		return 2
	}
	return 1
}
