package event

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// maxNode bounds the name of a gateway, in bytes.
const maxNode = 255

// AppendHeader appends h to dst, as it stands before the Bodies of a batch, and
// returns the result.
func AppendHeader(dst []byte, h *Header) []byte {
	var buf [128]byte
	m := appendText(buf[:0], 1, clip(h.Node, maxNode))
	m = appendFixed(m, 2, h.Incarnation)
	m = appendUint(m, 3, h.Seq)
	m = appendFixed(m, 4, nanos(h.Sent))
	m = appendBool(m, 5, h.Restates)
	m = appendBool(m, 6, h.First)
	m = appendFixed(m, 7, h.Manager)
	m = appendUint(m, 8, h.Version)
	m = appendSint(m, 9, int64(h.Skew))
	if h.Refused != nil {
		refused := appendRefused(nil, h.Refused)
		m = append(appendLength(m, 10, len(refused)), refused...)
	}
	if h.Sharing != nil {
		sharing := appendSharing(nil, h.Sharing)
		m = append(appendLength(m, 11, len(sharing)), sharing...)
	}
	dst = binary.AppendUvarint(dst, field(batchHeader, length))
	return append(binary.AppendUvarint(dst, uint64(len(m))), m...)
}

// parse reads the fields of h that are in r.
func (h *Header) parse(r *reader) {
	for r.more() {
		switch tag := r.tag(); tag {
		case field(1, length):
			h.Node = r.utf8()
		case field(2, fixed64):
			h.Incarnation = r.fixed64()
		case field(3, varint):
			h.Seq = r.uint()
		case field(4, fixed64):
			h.Sent = instant(r.fixed64())
		case field(5, varint):
			h.Restates = r.uint() != 0
		case field(6, varint):
			h.First = r.uint() != 0
		case field(7, fixed64):
			h.Manager = r.fixed64()
		case field(8, varint):
			h.Version = r.uint()
		case field(9, varint):
			h.Skew = time.Duration(r.sint())
		case field(10, length):
			if h.Refused == nil {
				h.Refused = new(RefusedCalls)
			}
			h.Refused.parse(r)
		case field(11, length):
			if h.Sharing == nil {
				h.Sharing = new(Sharing)
			}
			h.Sharing.parse(r)
		default:
			r.skip(tag)
		}
	}
}

// check reports what is wrong with the header of a batch of so many events.
func (h *Header) check(events int) error {
	switch {
	case len(h.Node) > maxNode:
		return fmt.Errorf("header: node has %d bytes, at most %d are read", len(h.Node), maxNode)
	case h.Incarnation == 0:
		return errors.New("header: there is no incarnation")
	case h.Sent.IsZero():
		return errors.New("header: there is no time of sending")
	case h.Seq == 0 && events > 0:
		return errors.New("header: there are events, and no seq")
	case h.First && !h.Restates:
		return errors.New("header: it is the first part of no restatement")
	}
	return nil
}

// nanos returns t as it is written: 0 for no time.
func nanos(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.UnixNano())
}

// instant is the opposite of nanos.
func instant(ns uint64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(ns)).UTC()
}
