package http2

import (
	"sync/atomic"
	"time"
)

// Frame types, flags and error codes of RFC 9113.
const (
	frameData         = 0x0
	frameHeaders      = 0x1
	frameRSTStream    = 0x3
	frameContinuation = 0x9

	flagEndStream  = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8

	codeNo              = 0x0
	codeInternal        = 0x2
	codeRefused         = 0x7
	codeCancel          = 0x8
	codeEnhanceYourCalm = 0xb

	frameHeaderSize = 9
	prefaceSize     = 24
)

// The classes of what a budget is spent on.
const (
	resets  = iota // streams reset before they were answered, by whomever
	control        // frames that are no work
	refusals
	classes
)

// allowances are what each class begins with, and never exceeds.
var allowances = [classes]int32{resets: 100, control: 150, refusals: 1000}

const (
	// creditPerFrame and bytesPerCredit are how many control frames what we
	// send pays for: a client may acknowledge each half kilobyte.
	creditPerFrame = 4
	bytesPerCredit = 512
	// creditCeiling is how many control frames can be paid for in advance. A client
	// that takes many answers at a time has megabytes of each under way, and tells
	// of them when its own side is free: long after, and at once.
	creditCeiling = 1 << 16
	// refill is the time that pays for one frame of each class.
	refill = time.Second / 20
)

// A budget tells work from abuse on one connection. A few kinds of frames cost a
// client next to nothing and its server much: streams that are reset before they
// were answered, or that the client makes us reset; frames that only ask to be
// acknowledged or ignored. A client has an allowance of each, which comes back
// with the frames of answers that we send it, and slowly with time. A client at
// work never gets near its end; a flood is through in an instant. What is sent pays
// for later control frames, too, but a reset costs a call, so nobody has more of
// those to come than the allowance.
//
// The methods for what is received and those for what is sent may be called
// concurrently, each by one goroutine at a time.
type budget struct {
	left [classes]int32
	at   time.Time // up to when time has been paid for

	// Earned and spent by what is sent, not yet settled.
	answered atomic.Int32 // heads of answers: resets that are no harm
	credit   atomic.Int32 // control frames
	faults   atomic.Int32 // streams that we reset for a fault of the client
	refused  atomic.Int32 // streams that we refused to open
}

func newBudget(now time.Time) *budget { return &budget{left: allowances, at: now} }

// received accounts for a frame from the client. It reports whether the
// connection may go on.
func (b *budget) received(kind, flags byte, empty bool) bool {
	if n := b.faults.Load(); n > 0 {
		b.faults.Add(-n)
		if !b.spend(resets, n) {
			return false
		}
	}
	if n := b.refused.Load(); n > 0 {
		b.refused.Add(-n)
		if !b.spend(refusals, n) {
			return false
		}
	}
	switch kind {
	case frameData:
		return !empty || flags&flagEndStream != 0 || b.spend(control, 1)
	case frameHeaders:
		return true // a request or its end: counted where all requests are
	case frameRSTStream:
		return b.spend(resets, 1)
	case frameContinuation:
		return !empty || b.spend(control, 1)
	}
	return b.spend(control, 1)
}

// owes reports whether more than n of the allowance of resets is spent. It is for
// the goroutine that calls received.
func (b *budget) owes(n int) bool {
	spent := func() int { return int(allowances[resets] - b.left[resets] + b.faults.Load()) }
	if spent() <= n {
		return false
	}
	b.earn() // which is worth more the later it is done
	return spent() > n
}

// spend takes n from a class's allowance and reports whether there was enough.
func (b *budget) spend(class int, n int32) bool {
	if b.left[class] < n {
		b.earn()
	}
	b.left[class] -= n
	return b.left[class] >= 0
}

// earn settles what has come in by answers and by time.
func (b *budget) earn() {
	now := time.Now()
	ticks := int32(max(0, min(int64(now.Sub(b.at)/refill), 1000)))
	if ticks > 0 {
		b.at = now
	}
	answered := b.answered.Swap(0)
	credit := min(b.credit.Load(), allowances[control]-b.left[control])
	b.credit.Add(-credit) // the rest is kept
	gains := [classes]int32{resets: answered, control: credit, refusals: answered}
	for class, gain := range gains {
		b.left[class] = min(b.left[class]+gain+ticks, allowances[class])
	}
}

// sent accounts for a frame to the client; code is that of RST_STREAM.
func (b *budget) sent(kind byte, length int, code uint32) {
	switch kind {
	case frameHeaders:
		if b.answered.Load() < creditCeiling {
			b.answered.Add(1)
		}
		b.addCredit(creditPerFrame)
	case frameData:
		b.addCredit(int32(creditPerFrame + length/bytesPerCredit))
	case frameRSTStream:
		switch code {
		case codeNo, codeInternal, codeCancel:
			// Our own doing: an answer before the request's end, or a
			// backend that broke off.
		case codeRefused:
			b.refused.Add(1)
		default:
			b.faults.Add(1)
		}
	}
}

func (b *budget) addCredit(n int32) {
	if b.credit.Load() < creditCeiling {
		b.credit.Add(n)
	}
}
