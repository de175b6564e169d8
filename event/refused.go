package event

import (
	"strings"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
)

// MaxRefusedKeys is how many keys [RefusedCalls] has at most.
const MaxRefusedKeys = 64

// MaxRefusedText bounds each text of a [RefusedKey], in bytes.
const MaxRefusedText = 256

// RefusedCalls are the calls and messages that limits and deny policies refused at
// one run of a gateway. They are state: what is told is how it stands, not what is
// new, so that it may be told twice, late or never.
type RefusedCalls struct {
	// Levels are all since the run began, by the level that refused.
	Levels [int(weir.LevelBackend) + 1]uint64
	// Keys are those that were refused most of late, and no more than that: of
	// very many keys some may be missing, or have fewer calls than they had.
	Keys []RefusedKey
}

// A RefusedKey is a key, or a deny policy, because of which calls are refused.
type RefusedKey struct {
	Key    limiter.Key // zero: what has none, as deny policies
	Text   string      // in WSO2's form; of a deny policy, what it denies
	Level  weir.Level
	Policy string // its name; of a deny policy, its ID
	Group  int    // index of the group of conditions, -1 for the policy's own limit
	// Calls were refused since Since, by the gateway's clock: the first after a
	// minute or more without any.
	Calls uint64
	Since time.Time
}

// The fields of RefusedCalls, RefusedLevel and RefusedKey.
const (
	refusedLevels = 1
	refusedKeys   = 2
)

// appendRefused appends the fields of c.
func appendRefused(dst []byte, c *RefusedCalls) []byte {
	var buf [640]byte
	for level, calls := range c.Levels {
		if calls > 0 {
			m := appendUint(appendUint(buf[:0], 1, uint64(level)), 2, calls)
			dst = append(appendLength(dst, refusedLevels, len(m)), m...)
		}
	}
	for i := range c.Keys[:min(len(c.Keys), MaxRefusedKeys)] {
		k := &c.Keys[i]
		m := appendFixed(buf[:0], 1, uint64(k.Key))
		m = appendText(m, 2, clip(k.Text, MaxRefusedText))
		m = appendUint(m, 3, uint64(k.Level))
		m = appendText(m, 4, clip(k.Policy, MaxRefusedText))
		m = appendSint(m, 5, int64(k.Group))
		m = appendUint(m, 6, k.Calls)
		m = appendFixed(m, 7, nanos(k.Since))
		dst = append(appendLength(dst, refusedKeys, len(m)), m...)
	}
	return dst
}

// parse reads the fields of c. Levels that are not known here are left out, and keys
// beyond the bound.
func (c *RefusedCalls) parse(from *reader) {
	r := from.message()
	for r.more() {
		switch tag := r.tag(); tag {
		case field(refusedLevels, length):
			if level, calls := readRefusedLevel(&r); level < uint64(len(c.Levels)) {
				c.Levels[level] = calls
			}
		case field(refusedKeys, length):
			k, level := readRefusedKey(&r)
			if level < uint64(len(c.Levels)) && len(c.Keys) < MaxRefusedKeys {
				k.Level = weir.Level(level)
				c.Keys = append(c.Keys, k)
			}
		default:
			r.skip(tag)
		}
	}
	from.within(&r)
}

func readRefusedLevel(from *reader) (level, calls uint64) {
	r := from.message()
	for r.more() {
		switch tag := r.tag(); tag {
		case field(1, varint):
			level = uint64(uint32(r.uint()))
		case field(2, varint):
			calls = r.uint()
		default:
			r.skip(tag)
		}
	}
	from.within(&r)
	return level, calls
}

// readRefusedKey reads a key, and apart from it its level, which need not be known.
func readRefusedKey(from *reader) (k RefusedKey, level uint64) {
	r := from.message()
	for r.more() {
		switch tag := r.tag(); tag {
		case field(1, fixed64):
			k.Key = limiter.Key(r.fixed64())
		case field(2, length):
			k.Text = strings.Clone(cut(r.utf8(), MaxRefusedText))
		case field(3, varint):
			level = uint64(uint32(r.uint()))
		case field(4, length):
			k.Policy = strings.Clone(cut(r.utf8(), MaxRefusedText))
		case field(5, varint):
			k.Group = int(unzigzag(uint64(uint32(r.uint()))))
		case field(6, varint):
			k.Calls = r.uint()
		case field(7, fixed64):
			k.Since = instant(r.fixed64())
		default:
			r.skip(tag)
		}
	}
	from.within(&r)
	return k, level
}
