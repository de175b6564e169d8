package limiter

import (
	"math/bits"
	"runtime"
	"sync/atomic"
)

// A slot holds the counter of one key: 32 bytes without a pointer, so that the
// garbage collector never looks at it and two share a cache line.
//
// Hash may be read at any time. The rest belongs to whoever holds the lock bit
// of meta. A slot whose moved bit is set is stale for good: its table has been
// replaced.
//
// What window and spent mean depends on the kind of counter, which is an
// [Algorithm]:
//
//	FixedWindow    the window's end; what was spent in it
//	SlidingWindow  when the last of what was spent no longer counts; its sum
//	TokenBucket    until when the bucket has been refilled; what is missing in it
type slot struct {
	hash   atomic.Uint64 // free, dead or a key's
	meta   atomic.Uint64
	window int64
	spent  int64
}

// Hashes that are no key's.
const (
	free = 0 // never used: the end of a probe
	dead = 1 // forgotten: may be used again, probes go on
)

// The bits of meta: two flags, how often a held key was used lately, the kind, the index
// of the side record (ring or share) plus one, the capacity as a small float
// rounded down, and the span.
const (
	lockBit  = 1 << 0
	movedBit = 1 << 1

	useOne    = 1 << 2
	useMask   = 3 * useOne
	kindShift = 4
	kindMask  = 3 << kindShift
	sideShift = 6
	sideBits  = 19
	sideMask  = (1<<sideBits - 1) << sideShift
	sizeShift = sideShift + sideBits
	sizeBits  = 16
	sizeMask  = (1<<sizeBits - 1) << sizeShift
	spanShift = sizeShift + sizeBits
	spanBits  = 64 - spanShift
	spanMask  = (1<<spanBits - 1) << spanShift

	shapeMask = kindMask | sizeMask | spanMask
)

// tryLock locks s unless it is locked or moved, and returns its meta as it was.
func (s *slot) tryLock() (uint64, bool) {
	m := s.meta.Load()
	return m, m&(lockBit|movedBit) == 0 && s.meta.CompareAndSwap(m, m|lockBit)
}

// lock locks s, which must not move meanwhile: the caller holds its shard's mutex.
func (s *slot) lock() uint64 {
	for i := 0; ; i++ {
		if m, ok := s.tryLock(); ok {
			return m
		}
		pause(i)
	}
}

// unlock sets meta, which has neither flag, and gives the slot up.
func (s *slot) unlock(meta uint64) { s.meta.Store(meta) }

// pause waits a while before the attempt after the given one. It is long
// beside one Take, so that whoever has the slot takes from it many times before
// the cache line has to travel; and from the third time on it lets others run,
// since whoever has the slot may be one of them.
func pause(attempt int) {
	if attempt >= spinAttempts {
		runtime.Gosched()
	}
	spin(spinTurns << min(attempt, spinAttempts))
}

const (
	spinAttempts = 2
	spinTurns    = 4096 // about 1.5 µs
)

//go:noinline
func spin(turns int) {
	for range turns { // it only has to take its time
	}
}

// used returns meta after one more use; aged after one that is forgotten.
func used(meta uint64) uint64 {
	if meta&useMask < useMask {
		meta += useOne
	}
	return meta
}

func aged(meta uint64) uint64 {
	if meta&useMask > 0 {
		meta -= useOne
	}
	return meta
}

func side(meta uint64) uint32 { return uint32(meta & sideMask >> sideShift) }

func withSide(meta uint64, n uint32) uint64 {
	return meta&^sideMask | uint64(n)<<sideShift
}

func kind(meta uint64) Algorithm { return Algorithm(meta & kindMask >> kindShift) }

// capacity returns at most the capacity that was packed into meta, and at
// least 99.9 % of it; exactly it below 2048.
func capacity(meta uint64) int64 {
	return unpack(meta&sizeMask>>sizeShift, sizeBits-6)
}

// span returns what was packed into meta, rounded up: the length of a window
// or the time in which a bucket fills.
func span(meta uint64) int64 {
	const mantissa = spanBits - 6
	v := meta >> spanShift
	if v>>mantissa <= uint64(Year) {
		return calendarLength(Calendar(v >> mantissa))
	}
	n := unpack(v, mantissa)
	return addSat(n, n>>mantissa+1)
}

// shape packs what a slot must know of its limit to outlive it.
func shape(l *Limit) uint64 {
	m := uint64(l.Algorithm) << kindShift
	switch {
	case l.Algorithm == TokenBucket:
		size := l.depth()
		return m | pack(size, sizeBits-6)<<sizeShift | pack(l.fillTime(size), spanBits-6)<<spanShift
	case l.Window.Calendar != NoCalendar:
		return m | pack(l.Count, sizeBits-6)<<sizeShift | l.Window.calendarSpan()<<spanShift
	}
	return m | pack(l.Count, sizeBits-6)<<sizeShift | pack(int64(l.Window.Length), spanBits-6)<<spanShift
}

// pack makes a float of 6 bits of exponent and some of mantissa from v, which
// is not negative, rounding down.
func pack(v int64, mantissa uint) uint64 {
	n := uint(bits.Len64(uint64(v)))
	if n <= mantissa+1 {
		return uint64(n)<<mantissa | uint64(v)<<(mantissa+1-n)&(1<<mantissa-1)
	}
	return uint64(n)<<mantissa | uint64(v)>>(n-mantissa-1)&(1<<mantissa-1)
}

func unpack(p uint64, mantissa uint) int64 {
	n := uint(p >> mantissa)
	if n == 0 {
		return 0
	}
	v := p&(1<<mantissa-1) | 1<<mantissa
	if n <= mantissa+1 {
		return int64(v >> (mantissa + 1 - n))
	}
	return int64(v << (n - mantissa - 1))
}
