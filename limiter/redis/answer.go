package redis

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/weir-project/weir/limiter"
)

// An answer to a request has this form; all numbers are little-endian:
//
//	time 8, epoch 8, flags 1, replicas 2, nodes 4
//	for each window, and then for each bucket: status 1, sum 7, granted 7, and, where
//	it was asked for, past 7
//
// The flags are 1: fenced, 2: a replica has been connected in this epoch.
const (
	answerHead = 23
	answerSize = 15
	pastSize   = 7

	flagFenced     = 1
	flagReplicated = 2
)

// A verdict is what an answer says of the store.
type verdict struct {
	now            int64
	epoch          uint64
	fenced         bool
	replicated     bool // a replica has been connected in this epoch
	replicas, node int  // replicas that are connected; nodes that live
	granted        bool
}

var errAnswer = errors.New("the server's answer is none of the script's")

// read fills an answer to r into b. After an error b's answers mean nothing.
func (r *request) read(text string, b *limiter.Batch) (verdict, error) {
	size := answerHead + answerSize*len(r.order)
	for _, i := range r.order {
		if asksPast(&b.Assertions[i]) {
			size += pastSize
		}
	}
	if len(text) != size {
		return verdict{}, fmt.Errorf("%w: it has %d bytes, want %d", errAnswer, len(text), size)
	}
	micros, flags := low(text, 8), text[16]
	v := verdict{
		now:        int64(micros) * int64(time.Microsecond),
		epoch:      low(text[8:], 8),
		fenced:     flags&flagFenced != 0,
		replicated: flags&flagReplicated != 0,
		replicas:   int(low(text[17:], 2)),
		node:       int(low(text[19:], 4)),
	}
	if micros == 0 || micros > 1<<63/1000 || v.epoch == 0 || flags > flagFenced|flagReplicated {
		return verdict{}, fmt.Errorf("%w: time %d, epoch %d, flags %d", errAnswer, micros, v.epoch, flags)
	}
	text = text[answerHead:]
	for _, i := range r.order {
		a := &b.Assertions[i]
		a.Status = limiter.Status(text[0])
		a.Sum, a.Granted, a.Past = int64(low(text[1:], 7)), int64(low(text[8:], 7)), 0
		text = text[answerSize:]
		if asksPast(a) {
			a.Past = int64(low(text, pastSize))
			text = text[pastSize:]
		}
		if !plausible(a, v.fenced) {
			return verdict{}, fmt.Errorf("%w: assertion %d: status %d, sum %d, past %d, granted %d",
				errAnswer, i, a.Status, a.Sum, a.Past, a.Granted)
		}
		v.granted = v.granted || a.Granted > 0
	}
	return v, nil
}

// plausible reports whether an answer can be one.
func plausible(a *limiter.Assertion, fenced bool) bool {
	if a.Sum > most || a.Past > most || a.Granted > max(a.Want, 0) || fenced && a.Granted > 0 {
		return false
	}
	switch a.Status {
	case limiter.Applied:
		return true
	case limiter.Stale:
		return a.Granted == 0
	case limiter.Late, limiter.Early:
		return a.Sum == 0 && a.Past == 0 && a.Granted == 0
	}
	return false
}

// low returns the little-endian number in the first bytes of text.
func low(text string, bytes int) uint64 {
	var full [8]byte
	copy(full[:bytes], text)
	return binary.LittleEndian.Uint64(full[:])
}
