package uplink

import (
	"encoding/binary"

	"github.com/weir-project/weir/event"
)

// count returns how many events a body has, for statistics. It looks at no more
// of event.proto than Batch.bodies and Body.events, which are both field 2; of what
// is no Body it counts what it can.
func count(b event.Body) int {
	const messages = 2<<3 | 2 // the tag of a field 2 that is messages
	n := 0
	for tag, inner, rest := nextField(b); tag != 0; tag, inner, rest = nextField(rest) {
		if tag != messages {
			continue
		}
		for tag, _, rest := nextField(inner); tag != 0; tag, _, rest = nextField(rest) {
			if tag == messages {
				n++
			}
		}
	}
	return n
}

// nextField returns the tag and the bytes of the first field in p, which must be one
// with a length, and what comes after it. A zero tag is the end.
func nextField(p []byte) (tag uint64, value, rest []byte) {
	tag, n := binary.Uvarint(p)
	if n <= 0 || tag&7 != 2 {
		return 0, nil, nil
	}
	p = p[n:]
	size, n := binary.Uvarint(p)
	if n <= 0 || size > uint64(len(p)-n) {
		return 0, nil, nil
	}
	return tag, p[n : n+int(size)], p[n+int(size):]
}
