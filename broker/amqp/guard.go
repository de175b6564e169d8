package amqp

import (
	"bufio"
	"encoding/binary"
	"io"

	"github.com/weir-project/weir/broker"
)

// Frames of AMQP 0-9-1: a header of a type, a channel and the size of the payload,
// then the payload and one byte that ends it.
const (
	frameHeader  = 7
	contentFrame = 2 // announces a message
	bodyFrame    = 3 // is a part of it
	// announced is up to where the payload of a contentFrame says how long the
	// message is: its class, its weight, the size of its body.
	announced = 2 + 2 + 8
)

// A guard reads what a broker sends, and takes out the bodies of messages that are
// too large: what a client keeps of a message while it comes is bounded by nothing
// but the broker, which may take gigabytes from whoever may publish. Such a message
// comes as an empty one, which nobody takes for a decision.
type guard struct {
	from *bufio.Reader
	// what is to be passed on before anything else is read: a frame's beginning
	head []byte
	// how much of the frame follows it
	rest uint64
	// what is yet to come of bodies that are taken out, by channel
	cut map[uint16]uint64
	// a stream that is not made of frames: the client will say so
	foreign bool
}

func newGuard(r io.Reader) *guard {
	return &guard{from: bufio.NewReader(r), cut: make(map[uint16]uint64)}
}

// Read implements io.Reader. What it returns ends with a frame, or before.
func (g *guard) Read(p []byte) (int, error) {
	for len(g.head) == 0 && g.rest == 0 && !g.foreign {
		if err := g.next(); err != nil {
			return 0, err
		}
	}
	if n := copy(p, g.head); n > 0 || len(p) == 0 {
		g.head = g.head[n:]
		return n, nil
	}
	if !g.foreign && uint64(len(p)) > g.rest {
		p = p[:g.rest]
	}
	n, err := g.from.Read(p)
	g.rest -= min(g.rest, uint64(n))
	return n, err
}

// next reads the beginning of a frame. It leaves nothing to pass on if the frame is
// to be taken out.
func (g *guard) next() error {
	begin, err := g.from.Peek(frameHeader)
	if err != nil {
		return err
	}
	kind, channel := begin[0], binary.BigEndian.Uint16(begin[1:3])
	size := uint64(binary.BigEndian.Uint32(begin[3:7]))
	switch {
	case kind == 0 || kind > 8: // the name of another version of the protocol
		g.foreign = true
		return nil
	case kind == bodyFrame && g.cut[channel] > 0:
		g.cut[channel] -= min(g.cut[channel], size)
		return g.skip(frameHeader + size + 1)
	case kind == contentFrame && size >= announced:
		return g.content(channel, size)
	}
	g.head, g.rest = nil, frameHeader+size+1
	return nil
}

// content reads the beginning of a frame that announces a message.
func (g *guard) content(channel uint16, size uint64) error {
	begin, err := g.from.Peek(frameHeader + announced)
	if err != nil {
		return err
	}
	g.head = append(g.head[:0:0], begin...)
	length := g.head[frameHeader+4:]
	if body := binary.BigEndian.Uint64(length); body > broker.MaxMessage {
		g.cut[channel] = body
		binary.BigEndian.PutUint64(length, 0)
	} else {
		delete(g.cut, channel)
	}
	g.rest = size - announced + 1
	return g.skip(frameHeader + announced)
}

// skip passes over n bytes.
func (g *guard) skip(n uint64) error {
	_, err := io.CopyN(io.Discard, g.from, int64(n))
	return err
}
