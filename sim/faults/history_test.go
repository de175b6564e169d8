package faults

import (
	"bufio"
	"fmt"
	"io"
	"time"
)

// A history is what happened in a run: a hash of all of it, and, if asked for, a
// line for each thing that did.
type history struct {
	hash  uint64
	out   *bufio.Writer
	start int64
}

func newHistory(out io.Writer, start int64) *history {
	h := &history{hash: 0xcbf29ce484222325, start: start}
	if out != nil {
		h.out = bufio.NewWriter(out)
	}
	return h
}

// add mixes numbers into the hash.
func (h *history) add(a, b, c int64) {
	x := h.hash
	x = (x ^ uint64(a)) * 0x100000001b3
	x = (x>>29 ^ x ^ uint64(b)) * 0x9e3779b97f4a7c15
	x = (x>>32 ^ x ^ uint64(c)) * 0xe7037ed1a0b428db
	h.hash = x ^ x>>29
}

// wanted reports whether lines are: if not, none should be made.
func (h *history) wanted() bool { return h.out != nil }

// printf writes a line about what happened at now.
func (h *history) printf(now int64, format string, args ...any) {
	if h.out == nil {
		return
	}
	fmt.Fprintf(h.out, "%13.6f ", float64(now-h.start)/float64(time.Second))
	fmt.Fprintf(h.out, format, args...)
	h.out.WriteByte('\n')
}

func (h *history) close() error {
	if h.out == nil {
		return nil
	}
	return h.out.Flush()
}
