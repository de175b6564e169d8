package redis

import (
	"errors"
	"fmt"
)

// What a server may say at once.
const (
	maxLine  = 16 << 10 // bytes of a line
	maxBulk  = 1 << 20  // bytes of a text
	maxArray = 4096     // elements of an array
	maxDepth = 4        // of arrays in arrays
	maxReply = 4 << 20  // bytes of all answers to what was sent at once
)

// errNoRedis tells that what answers does not speak as Redis does.
var errNoRedis = errors.New("what answers is no Redis or Valkey")

// A guard reads along what a server says, and finds fault with what would make the
// client reserve memory for what was only announced, or call itself without end.
type guard struct {
	spent int64 // bytes since something was sent
	line  []byte
	skip  int64 // bytes of a text, and its end, that are still to come
	depth int
	left  [maxDepth]int // elements that are still to come, of arrays in arrays
}

// sent begins a new answer.
func (g *guard) sent() { g.spent = 0 }

// read looks at what was received.
func (g *guard) read(p []byte) error {
	if g.spent += int64(len(p)); g.spent > maxReply {
		return fmt.Errorf("%w: it says more than %d bytes", errNoRedis, maxReply)
	}
	for len(p) > 0 {
		if g.skip > 0 {
			n := min(g.skip, int64(len(p)))
			p, g.skip = p[n:], g.skip-n
			if g.skip == 0 {
				g.element()
			}
			continue
		}
		c := p[0]
		p = p[1:]
		if c != '\n' {
			if g.line = append(g.line, c); len(g.line) > maxLine || !g.begins() {
				return g.fault(p)
			}
			continue
		}
		if !g.ends() {
			return g.fault(p)
		}
		g.line = g.line[:0]
	}
	return nil
}

// fault returns the error of a line that is none, and of what follows.
func (g *guard) fault(rest []byte) error {
	return fmt.Errorf("%w: it says %.40q", errNoRedis, append(g.line, rest...))
}

// begins reports whether the line can be one, as far as it goes: an announced
// number must not be read by anybody before it has been found small.
func (g *guard) begins() bool {
	switch g.line[0] {
	case '+', '-', ':':
		return true
	case '$', '*':
		return len(g.line) <= len("$1048576\r")
	}
	return false
}

// ends takes note of a line that is complete, and reports whether it was one.
func (g *guard) ends() bool {
	n := len(g.line) - 1
	if n < 1 || g.line[n] != '\r' {
		return false
	}
	switch g.line[0] {
	case '$':
		size, ok := announced(g.line[1:n], maxBulk)
		if size < 0 {
			g.element() // nothing is announced
		} else {
			g.skip = size + 2
		}
		return ok
	case '*':
		size, ok := announced(g.line[1:n], maxArray)
		if size <= 0 {
			g.element()
			return ok
		}
		if g.depth == maxDepth {
			return false
		}
		g.left[g.depth] = int(size)
		g.depth++
		return ok
	}
	g.element()
	return true
}

// element takes note that an element is complete, and with it what it is the last of.
func (g *guard) element() {
	for g.depth > 0 {
		if g.left[g.depth-1]--; g.left[g.depth-1] > 0 {
			return
		}
		g.depth--
	}
}

// announced reads a length: -1 or from 0 to limit.
func announced(text []byte, limit int64) (n int64, ok bool) {
	if string(text) == "-1" {
		return -1, true
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n = n*10 + int64(c-'0'); n > limit {
			return 0, false
		}
	}
	return n, len(text) > 0
}
