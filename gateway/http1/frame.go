package http1

import (
	"encoding/binary"
	"errors"
)

// errFrame is what a WebSocket's bytes can be that are no frames (RFC 6455).
var errFrame = errors.New("malformed WebSocket frame")

// A frames follows one direction of a WebSocket from frame to frame, whatever
// pieces it comes in. It looks at frame heads only: compressed messages are
// messages like any other.
type frames struct {
	masked bool // as all frames from clients must be, and none from servers

	head    [14]byte
	have    int   // bytes of head
	left    int64 // of this frame's payload
	payload bool  // the head is complete
	open    bool  // a message has begun whose last frame is to come
	drop    bool  // the message is left out
	last    bool  // the frame is its message's last
	control bool  // the frame is a control frame
}

// idle reports whether a frame of somebody else's may be put between: no frame
// and no message is open.
func (f *frames) idle() bool { return f.have == 0 && !f.open }

// pass goes over data, which must not be used after. It calls message at the
// beginning of each message, which says whether it may pass, and sends with send
// what may pass, in as few pieces as possible. A head that came in parts is sent
// once it is complete.
func (f *frames) pass(data []byte, message func() bool, send func([]byte) error) error {
	from, at := 0, 0
	for at < len(data) {
		if !f.payload {
			whole, n, err := f.readHead(data[at:])
			if err != nil {
				return err
			}
			if f.payload && !f.control && !f.open {
				f.open = true
				f.drop = !message()
			}
			// A head that began in an earlier piece is not in data as a whole.
			if !whole || f.dropped() {
				if err := sendSome(send, data[from:at]); err != nil {
					return err
				}
				if f.payload && !f.dropped() {
					if err := send(f.head[:f.have]); err != nil {
						return err
					}
				}
				from = at + n
			}
			at += n
			if !f.payload {
				break
			}
		}
		n := int(min(f.left, int64(len(data)-at)))
		f.left -= int64(n)
		at += n
		if f.dropped() {
			from = at
		}
		if f.left == 0 {
			f.endFrame()
		}
	}
	return sendSome(send, data[from:at])
}

// sendSome sends b unless it is empty.
func sendSome(send func([]byte) error, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	return send(b)
}

// dropped reports whether the frame is left out. Control frames never are.
func (f *frames) dropped() bool { return f.drop && !f.control }

// endFrame makes ready for the next frame.
func (f *frames) endFrame() {
	if !f.control && f.last {
		f.open, f.drop = false, false
	}
	f.have, f.payload = 0, false
}

// readHead takes the bytes of a frame's head from b and returns how many. Whole
// tells that b has all of them.
func (f *frames) readHead(b []byte) (whole bool, n int, err error) {
	whole = f.have == 0
	for n < len(b) {
		f.head[f.have] = b[n]
		f.have++
		n++
		if f.have >= 2 && f.have == f.headSize() {
			f.payload = true
			return whole, n, f.judge()
		}
	}
	return false, n, nil
}

// headSize returns the size of the head, of which two bytes are known.
func (f *frames) headSize() int {
	n := 2
	switch f.head[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if f.head[1]&0x80 != 0 {
		n += 4
	}
	return n
}

// judge takes up what a complete head says, or refuses it.
func (f *frames) judge() error {
	op := f.head[0] & 0x0f
	f.last = f.head[0]&0x80 != 0
	f.control = op >= 8
	short := f.head[1] & 0x7f
	switch short {
	case 126:
		f.left = int64(binary.BigEndian.Uint16(f.head[2:]))
	case 127:
		f.left = int64(binary.BigEndian.Uint64(f.head[2:]))
	default:
		f.left = int64(short)
	}
	switch {
	case f.masked != (f.head[1]&0x80 != 0),
		f.left < 0, // the highest bit must be zero
		short == 126 && f.left < 126, short == 127 && f.left < 1<<16,
		op > 2 && op < 8 || op > 10,
		f.control && (!f.last || short > 125),
		!f.control && f.open != (op == 0):
		return errFrame
	}
	return nil
}

// appendTextFrame appends an unmasked text frame of less than 126 bytes.
func appendTextFrame(b []byte, text string) []byte {
	b = append(b, 0x81, byte(len(text)))
	return append(b, text...)
}
