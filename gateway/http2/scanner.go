package http2

import "encoding/binary"

// A scanner follows the frames in one direction of a connection, over however the
// bytes are cut, without keeping them. frame is called with each frame once its
// header and as much of its payload as matters have been seen: the first 4 bytes.
type scanner struct {
	skip   int // bytes to pass over: the preface, or the rest of a payload
	header [frameHeaderSize]byte
	have   int // bytes of the header
	first  [4]byte
	need   int // bytes of the payload that first still lacks
	got    int
	frame  frame // the last one
}

// A frame is what a scanner knows of one.
type frame struct {
	kind, flags byte
	stream      uint32
	length      int
	first       [4]byte // of the payload; zeros where it is shorter
}

// padding reports whether a frame carries nothing: no payload, or only padding.
func (f *frame) padding() bool {
	if f.kind == frameData && f.flags&flagPadded != 0 {
		return f.length <= 1+int(f.first[0])
	}
	return f.length == 0
}

// code is the error code of RST_STREAM.
func (f *frame) code() uint32 {
	return uint32(f.first[0])<<24 | uint32(f.first[1])<<16 | uint32(f.first[2])<<8 | uint32(f.first[3])
}

// feed passes over p and calls each with the frames in it. It stops at the first
// for which each returns false, and returns how much of p came before that frame;
// otherwise it returns len(p).
func (s *scanner) feed(p []byte, each func(f *frame) bool) (n int, ok bool) {
	for n < len(p) {
		switch {
		case s.have < frameHeaderSize && s.skip > 0:
			k := min(s.skip, len(p)-n)
			s.skip -= k
			n += k
			continue
		case s.have < frameHeaderSize:
			k := copy(s.header[s.have:], p[n:])
			s.have += k
			n += k
			if s.have < frameHeaderSize {
				return n, true
			}
			s.first = [4]byte{}
			s.got = 0
			s.need = min(s.length(), len(s.first))
		default:
			k := copy(s.first[s.got:s.need], p[n:])
			s.got += k
			n += k
		}
		if s.got < s.need {
			continue
		}
		s.frame = frame{kind: s.header[3], flags: s.header[4], stream: s.stream(), length: s.length(), first: s.first}
		s.have, s.skip = 0, s.frame.length-s.need
		if !each(&s.frame) {
			return max(0, n-frameHeaderSize-s.need), false
		}
	}
	return n, true
}

// between reports whether the last byte fed was the last of a frame.
func (s *scanner) between() bool { return s.have == 0 && s.skip == 0 }

// within returns the kind of the frame of whose payload some has yet to come, and
// whether there is one.
func (s *scanner) within() (kind byte, ok bool) {
	if s.have == frameHeaderSize {
		return s.header[3], true
	}
	return s.frame.kind, s.have == 0 && s.skip > 0
}

func (s *scanner) stream() uint32 { return binary.BigEndian.Uint32(s.header[5:]) &^ (1 << 31) }

func (s *scanner) length() int {
	return int(s.header[0])<<16 | int(s.header[1])<<8 | int(s.header[2])
}
