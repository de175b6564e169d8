package amqp

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"
	"testing/iotest"

	"github.com/weir-project/weir/broker"
)

// frame returns a frame.
func frame(kind byte, channel uint16, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16([]byte{kind}, channel)
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload)))
	return append(append(b, payload...), 0xce)
}

// message returns the frames of a message whose body is as long as it says, or
// as it is.
func message(channel uint16, says uint64, parts ...[]byte) []byte {
	announce := binary.BigEndian.AppendUint64([]byte{0, 60, 0, 0}, says)
	b := frame(contentFrame, channel, append(announce, 0x80, 0, 4, 't', 'e', 'x', 't'))
	for _, p := range parts {
		b = append(b, frame(bodyFrame, channel, p)...)
	}
	return b
}

func TestGuard(t *testing.T) {
	const most = broker.MaxMessage
	method := frame(1, 1, []byte("deliver"))
	beat := frame(8, 0, nil)
	large := bytes.Repeat([]byte{'x'}, most)
	join := func(all ...[]byte) []byte { return bytes.Join(all, nil) }
	small := message(1, 5, []byte("he"), []byte("llo"))
	for name, tt := range map[string]struct{ in, want []byte }{
		"nothing":          {nil, nil},
		"small ones":       {join(beat, method, small, method, message(1, 0)), join(beat, method, small, method, message(1, 0))},
		"the largest":      {join(method, message(1, most, large), method), join(method, message(1, most, large), method)},
		"too large":        {join(method, message(1, most+1, large, []byte("x")), method, small), join(method, message(1, 0), method, small)},
		"gigabytes to be":  {join(method, message(1, 1<<63, large, large, large)), join(method, message(1, 0))},
		"two channels":     {join(message(1, most+1), message(2, 5, []byte("hello")), frame(bodyFrame, 1, large), beat, frame(bodyFrame, 1, []byte("x")), frame(bodyFrame, 1, []byte("y"))), join(message(1, 0), message(2, 5, []byte("hello")), beat, frame(bodyFrame, 1, []byte("y")))},
		"one broken off":   {join(message(1, most+1, large), method, small), join(message(1, 0), method, small)},
		"another protocol": {[]byte("AMQP\x00\x01\x00\x00"), []byte("AMQP\x00\x01\x00\x00")},
		"a web server":     {[]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), []byte("HTTP/1.1 400 Bad Request\r\n\r\n")},
		"short announce":   {frame(contentFrame, 1, []byte("short")), frame(contentFrame, 1, []byte("short"))},
	} {
		for how, from := range map[string]io.Reader{
			"at once":  bytes.NewReader(tt.in),
			"bytewise": iotest.OneByteReader(bytes.NewReader(tt.in)),
		} {
			got, err := io.ReadAll(newGuard(from))
			if err != nil || !bytes.Equal(got, tt.want) {
				t.Errorf("%s, %s: got %d bytes, want %d, %v", name, how, len(got), len(tt.want), err)
			}
		}
	}
}

// Whatever comes, what is passed on is no longer than it, and the announcements of
// messages in it are small.
func FuzzGuard(f *testing.F) {
	f.Add(message(1, broker.MaxMessage+1, []byte("xyz")), 3)
	f.Add(append(message(1, 3, []byte("xyz")), message(2, 1<<40)...), 7)
	f.Add([]byte("AMQP\x00\x01\x00\x00"), 1)
	f.Fuzz(func(t *testing.T, in []byte, chunk int) {
		g := newGuard(bytes.NewReader(in))
		var out []byte
		buffer := make([]byte, max(chunk%64, 1))
		for range 4*len(in) + 16 {
			n, err := g.Read(buffer)
			out = append(out, buffer[:n]...)
			if err != nil {
				break
			}
		}
		if len(out) > len(in) {
			t.Fatalf("%d bytes of %d", len(out), len(in))
		}
		for rest := out; len(rest) >= frameHeader+announced && rest[0] > 0 && rest[0] <= 8; {
			size := uint64(binary.BigEndian.Uint32(rest[3:7]))
			if rest[0] == contentFrame && size >= announced {
				if body := binary.BigEndian.Uint64(rest[frameHeader+4:]); body > broker.MaxMessage {
					t.Fatalf("a message of %d bytes is announced", body)
				}
			}
			rest = rest[min(uint64(len(rest)), frameHeader+size+1):]
		}
	})
}
