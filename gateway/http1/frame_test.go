package http1

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
)

// appendFrame appends a frame as a client (masked) or a server sends it.
func appendFrame(b []byte, masked, last bool, op byte, payload []byte) []byte {
	if last {
		op |= 0x80
	}
	bit := byte(0)
	if masked {
		bit = 0x80
	}
	switch n := len(payload); {
	case n < 126:
		b = append(b, op, bit|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, op, bit|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, op, bit|127), uint64(n))
	}
	if masked {
		b = append(b, 1, 2, 3, 4)
	}
	return append(b, payload...)
}

// However the bytes come, the same messages are counted and the same bytes pass;
// control frames pass in the middle of a message that is left out.
func TestFrames(t *testing.T) {
	for _, masked := range []bool{true, false} {
		frame := func(last bool, op byte, n int) []byte {
			return appendFrame(nil, masked, last, op, bytes.Repeat([]byte{op}, n))
		}
		first, second := frame(true, 1, 5), frame(true, 2, 300)
		part1, ping, part2 := frame(false, 1, 70_000), frame(true, 9, 3), frame(true, 0, 10)
		fourth, end := frame(true, 1, 0), frame(true, 8, 2)
		all := slices.Concat(first, second, part1, ping, part2, fourth, end)
		want := slices.Concat(first, ping, fourth, end) // the second and the third are left out
		for _, size := range []int{1, 2, 5, 100, 4096, len(all)} {
			f := frames{masked: masked}
			n := 0
			var got []byte
			for rest := all; len(rest) > 0; {
				k := min(size, len(rest))
				piece := slices.Clone(rest[:k])
				rest = rest[k:]
				err := f.pass(piece, func() bool { n++; return n == 1 || n == 4 }, func(b []byte) error {
					got = append(got, b...)
					return nil
				})
				if err != nil {
					t.Fatalf("in pieces of %d: %v", size, err)
				}
			}
			if n != 4 || !bytes.Equal(got, want) || !f.idle() {
				t.Errorf("in pieces of %d: %d messages, %d bytes, idle %v; want 4, %d, true", size, n, len(got), f.idle(), len(want))
			}
		}
	}
}

func TestBadFrames(t *testing.T) {
	for _, r := range []struct {
		name string
		data []byte
	}{
		{"not masked", appendFrame(nil, false, true, 1, []byte("a"))},
		{"reserved data frame", appendFrame(nil, true, true, 3, nil)},
		{"reserved control frame", appendFrame(nil, true, true, 11, nil)},
		{"long control frame", appendFrame(nil, true, true, 9, make([]byte, 126))},
		{"control frame in parts", appendFrame(nil, true, false, 9, nil)},
		{"part of nothing", appendFrame(nil, true, true, 0, nil)},
		{"message within a message", append(appendFrame(nil, true, false, 1, nil), appendFrame(nil, true, true, 1, nil)...)},
		{"length of 16 bits for less", []byte{0x81, 0xfe, 0, 5, 1, 2, 3, 4}},
		{"length of 64 bits for less", []byte{0x81, 0xff, 0, 0, 0, 0, 0, 0, 0, 5, 1, 2, 3, 4}},
		{"negative length", []byte{0x81, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 5, 1, 2, 3, 4}},
	} {
		f := frames{masked: true}
		if err := f.pass(r.data, func() bool { return true }, func([]byte) error { return nil }); err == nil {
			t.Errorf("%s: accepted", r.name)
		}
	}
}

// What passes is what came if nothing is left out, however it is cut; and the
// parser agrees with itself.
func FuzzFrames(f *testing.F) {
	f.Add(appendFrame(appendFrame(nil, true, false, 1, []byte("abc")), true, true, 0, []byte("d")), 3)
	f.Add(appendFrame(nil, true, true, 8, []byte{3, 232}), 1)
	f.Add(appendFrame(nil, true, true, 2, make([]byte, 200)), 5)
	f.Fuzz(func(t *testing.T, data []byte, cut int) {
		cut = min(max(cut, 0), len(data))
		run := func(pieces ...[]byte) (got []byte, n int, err error) {
			fr := frames{masked: true}
			for _, p := range pieces {
				if err == nil {
					err = fr.pass(slices.Clone(p), func() bool { n++; return true }, func(b []byte) error {
						got = append(got, b...)
						return nil
					})
				}
			}
			return got, n, err
		}
		whole, n1, err1 := run(data)
		parts, n2, err2 := run(data[:cut], data[cut:])
		if (err1 == nil) != (err2 == nil) || n1 != n2 {
			t.Fatalf("whole: %d, %v; in two pieces: %d, %v", n1, err1, n2, err2)
		}
		if err1 == nil && (!bytes.HasPrefix(data, whole) || !bytes.Equal(whole, parts)) && len(whole) != len(data) {
			if !bytes.HasPrefix(data, parts) || !bytes.HasPrefix(data, whole) {
				t.Fatalf("other bytes passed than came")
			}
		}
	})
}
