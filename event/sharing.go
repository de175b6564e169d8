package event

import (
	"math"
	"strings"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
)

// MaxSharedLimits is how many limits a [Sharing] has at most.
const MaxSharedLimits = 64

// MaxPolicyText bounds the name of the policy of a [SharedLimit], in bytes.
const MaxPolicyText = 256

// A Sharing is how a node shares counters with the others of its role, through a store.
// It is state: what is told is how it stands, so that it may be told twice, late or never.
type Sharing struct {
	// Node is by what the store knows this run of the node; another number than its
	// incarnation.
	Node uint64
	// Lost tells that the store is away: limits do as their OnStoreLoss says.
	Lost bool
	// Nodes share counters, this one included, as far as it knows.
	Nodes int
	// Since the run began: Calls were answered by the store, each a round trip, and Errors
	// failed; it went away so often (Losses), so many requests waited for it (Waits), and so
	// often it may have lost what it was told (Epochs).
	Calls, Errors, Losses, Waits, Epochs uint64
	// RecentCalls and RecentRequests are those of the same time of late, some ten to twenty
	// seconds: calls of the store, and requests that were counted.
	RecentCalls, RecentRequests uint64
	// Trip is how long a call takes of late, Offset by how much the store's clock is ahead.
	Trip, Offset time.Duration
	// Limits are those in use of which most is shared, and All is how many there are.
	Limits []SharedLimit
	All    int
}

// A SharedLimit is how the counters of one limit stand, as one node has seen it. Limits of
// backends that have Level and Policy in common are one.
type SharedLimit struct {
	Level    weir.Level
	Policy   string
	Group    int // index of the group of conditions, -1 for the policy's own limit
	Accuracy limiter.Accuracy
	Cost     limiter.Cost
	// What [limiter.LimitStats] has, by those names.
	Keys       int
	Held       int64
	Assertions uint64
	Over       int64
	Lag        time.Duration
	// Count is the count of the limit, of which Over was let past.
	Count int64
}

// The fields of a Sharing that are messages.
const sharedLimits = 13

// appendSharing appends the fields of s.
func appendSharing(dst []byte, s *Sharing) []byte {
	dst = appendFixed(dst, 1, s.Node)
	dst = appendBool(dst, 2, s.Lost)
	dst = appendUint(dst, 3, natural(s.Nodes))
	dst = appendUint(dst, 4, s.Calls)
	dst = appendUint(dst, 5, s.Errors)
	dst = appendUint(dst, 6, s.Losses)
	dst = appendUint(dst, 7, s.Waits)
	dst = appendUint(dst, 8, s.Epochs)
	dst = appendUint(dst, 9, s.RecentCalls)
	dst = appendUint(dst, 10, s.RecentRequests)
	dst = appendSint(dst, 11, int64(s.Trip))
	dst = appendSint(dst, 12, int64(s.Offset))
	var buf [384]byte
	for i := range s.Limits[:min(len(s.Limits), MaxSharedLimits)] {
		m := appendSharedLimit(buf[:0], &s.Limits[i])
		dst = append(appendLength(dst, sharedLimits, len(m)), m...)
	}
	return appendUint(dst, 14, natural(s.All))
}

func appendSharedLimit(m []byte, l *SharedLimit) []byte {
	m = appendUint(m, 1, uint64(l.Level))
	m = appendText(m, 2, clip(l.Policy, MaxPolicyText))
	m = appendSint(m, 3, int64(l.Group))
	m = appendUint(m, 4, uint64(l.Accuracy))
	m = appendUint(m, 5, uint64(l.Cost))
	m = appendUint(m, 6, natural(l.Keys))
	m = appendUint(m, 7, natural(l.Held))
	m = appendUint(m, 8, l.Assertions)
	m = appendUint(m, 9, natural(l.Over))
	m = appendUint(m, 10, natural(l.Count))
	return appendUint(m, 11, natural(l.Lag))
}

// natural returns what is never negative as it is written.
func natural[T ~int | ~int64](n T) uint64 { return uint64(max(n, 0)) }

// size reads what is never negative.
func (r *reader) size() int64 { return int64(min(r.uint(), math.MaxInt64)) }

// parse reads the fields of s. Limits of which something is not known here are left out,
// and those beyond the bound.
func (s *Sharing) parse(from *reader) {
	r := from.message()
	for r.more() {
		tag := r.tag()
		if count := s.counts(tag); count != nil {
			*count = r.uint()
			continue
		}
		switch tag {
		case field(1, fixed64):
			s.Node = r.fixed64()
		case field(2, varint):
			s.Lost = r.uint() != 0
		case field(3, varint):
			s.Nodes = int(uint32(r.uint()))
		case field(11, varint):
			s.Trip = time.Duration(r.sint())
		case field(12, varint):
			s.Offset = time.Duration(r.sint())
		case field(sharedLimits, length):
			if l, known := readSharedLimit(&r); known && len(s.Limits) < MaxSharedLimits {
				s.Limits = append(s.Limits, l)
			}
		case field(14, varint):
			s.All = int(uint32(r.uint()))
		default:
			r.skip(tag)
		}
	}
	from.within(&r)
}

// counts returns the sum that a tag is of, nil if it is of something else.
func (s *Sharing) counts(tag uint64) *uint64 {
	switch tag {
	case field(4, varint):
		return &s.Calls
	case field(5, varint):
		return &s.Errors
	case field(6, varint):
		return &s.Losses
	case field(7, varint):
		return &s.Waits
	case field(8, varint):
		return &s.Epochs
	case field(9, varint):
		return &s.RecentCalls
	case field(10, varint):
		return &s.RecentRequests
	}
	return nil
}

// readSharedLimit reads a limit, and reports whether its level, accuracy and cost are
// known here.
func readSharedLimit(from *reader) (l SharedLimit, known bool) {
	r := from.message()
	var level, accuracy, cost uint32
	for r.more() {
		switch tag := r.tag(); tag {
		case field(1, varint):
			level = uint32(r.uint())
		case field(2, length):
			l.Policy = strings.Clone(cut(r.utf8(), MaxPolicyText))
		case field(3, varint):
			l.Group = int(unzigzag(uint64(uint32(r.uint()))))
		case field(4, varint):
			accuracy = uint32(r.uint())
		case field(5, varint):
			cost = uint32(r.uint())
		case field(6, varint):
			l.Keys = int(uint32(r.uint()))
		case field(7, varint):
			l.Held = r.size()
		case field(8, varint):
			l.Assertions = r.uint()
		case field(9, varint):
			l.Over = r.size()
		case field(10, varint):
			l.Count = r.size()
		case field(11, varint):
			l.Lag = time.Duration(r.size())
		default:
			r.skip(tag)
		}
	}
	from.within(&r)
	if level > uint32(weir.LevelBackend) || accuracy > uint32(limiter.Exact) || cost > uint32(limiter.Events) {
		return l, false
	}
	l.Level, l.Accuracy, l.Cost = weir.Level(level), limiter.Accuracy(accuracy), limiter.Cost(cost)
	return l, true
}
