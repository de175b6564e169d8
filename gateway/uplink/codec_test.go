package uplink

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/weir-project/weir/event"
)

// The tests look at what is on the wire with eyes of their own, not with those of
// package event.

// body returns a Body with so many events and a text that names it.
func body(name string, events int) event.Body {
	inner := append(binary.AppendUvarint([]byte{1<<3 | 2}, uint64(len(name))), name...)
	for range events {
		inner = append(inner, 2<<3|2, 0)
	}
	return append(binary.AppendUvarint([]byte{2<<3 | 2}, uint64(len(inner))), inner...)
}

// A field is one of a message.
type field struct {
	number uint64
	value  uint64
	bytes  []byte
}

// fields returns the fields of a message.
func fields(p []byte) (all []field, err error) {
	for len(p) > 0 {
		tag, n := binary.Uvarint(p)
		if n <= 0 {
			return nil, fmt.Errorf("no tag in % x", p)
		}
		p = p[n:]
		f := field{number: tag >> 3}
		switch tag & 7 {
		case 0:
			f.value, n = binary.Uvarint(p)
		case 1:
			f.value, n = binary.LittleEndian.Uint64(p), 8
		case 2:
			var length uint64
			length, n = binary.Uvarint(p)
			if n <= 0 || length > uint64(len(p)-n) {
				return nil, fmt.Errorf("length %d in %d bytes", length, len(p))
			}
			f.bytes = p[n : n+int(length)]
			n += int(length)
		default:
			n = 0
		}
		if n <= 0 {
			return nil, fmt.Errorf("tag %#x", tag)
		}
		all, p = append(all, f), p[n:]
	}
	return all, nil
}

// decode returns the header of a batch and the names of its bodies.
func decode(batch []byte) (h event.Header, names []string, err error) {
	top, err := fields(batch)
	if err != nil {
		return h, nil, err
	}
	for i, f := range top {
		inner, err := fields(f.bytes)
		if err != nil {
			return h, nil, err
		}
		switch {
		case f.number == 1 && i == 0:
			for _, f := range inner {
				setHeader(&h, f)
			}
		case f.number == 2 && i > 0:
			names = append(names, string(inner[0].bytes))
		default:
			return h, nil, fmt.Errorf("field %d at place %d", f.number, i)
		}
	}
	return h, names, nil
}

func setHeader(h *event.Header, f field) {
	switch f.number {
	case 1:
		h.Node = string(f.bytes)
	case 2:
		h.Incarnation = f.value
	case 3:
		h.Seq = f.value
	case 4:
		h.Sent = time.Unix(0, int64(f.value))
	case 5:
		h.Restates = f.value == 1
	case 6:
		h.First = f.value == 1
	case 7:
		h.Manager = f.value
	case 8:
		h.Version = f.value
	case 11: // a Sharing, of which the node is read
		h.Sharing = new(event.Sharing)
		parts, _ := fields(f.bytes)
		for _, part := range parts {
			if part.number == 1 {
				h.Sharing.Node = part.value
			}
		}
	case 10: // RefusedCalls, of which one RefusedLevel is read
		h.Refused = new(event.RefusedCalls)
		levels, _ := fields(f.bytes)
		for _, l := range levels {
			if level, err := fields(l.bytes); err == nil && len(level) == 2 {
				h.Refused.Levels[level[0].value] = level[1].value
			}
		}
	}
}
