package http2

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	h2 "golang.org/x/net/http2"
)

// sample is a stream of frames of all shapes, with the names by which they are told.
func sample() (stream []byte, want []string) {
	var b bytes.Buffer
	b.WriteString(h2.ClientPreface)
	f := h2.NewFramer(&b, nil)
	f.AllowIllegalWrites = true
	f.WriteSettings(h2.Setting{ID: h2.SettingInitialWindowSize, Val: 1 << 20})
	f.WriteSettingsAck()
	f.WriteHeaders(h2.HeadersFrameParam{StreamID: 1, BlockFragment: make([]byte, 300)})
	f.WriteContinuation(1, true, nil)
	f.WriteData(1, false, make([]byte, 5000))
	f.WriteData(1, false, nil)
	f.WriteDataPadded(1, false, nil, make([]byte, 9))
	f.WriteDataPadded(1, true, []byte("x"), make([]byte, 9))
	f.WriteRSTStream(1, h2.ErrCodeEnhanceYourCalm)
	f.WritePing(false, [8]byte{})
	return b.Bytes(), []string{
		"0:4/0 6", "0:4/1 0 empty", "1:1/0 300", "1:9/4 0 empty", "1:0/0 5000", "1:0/0 0 empty", "1:0/8 10 empty", "1:0/9 11", "1:3/0 4 code 11", "0:6/0 8",
	}
}

func describe(f *frame) string {
	s := fmt.Sprintf("%d:%d/%d %d", f.stream, f.kind, f.flags, f.length)
	if f.padding() {
		s += " empty"
	}
	if f.kind == frameRSTStream {
		s += fmt.Sprint(" code ", f.code())
	}
	return s
}

func TestScanner(t *testing.T) {
	stream, want := sample()
	for _, size := range []int{1, 2, 3, 7, 9, 10, 13, 64, 1 << 20} {
		s := scanner{skip: prefaceSize}
		var got []string
		for piece := range slices.Chunk(stream, size) {
			n, ok := s.feed(piece, func(f *frame) bool { got = append(got, describe(f)); return true })
			if n != len(piece) || !ok {
				t.Fatalf("pieces of %d: stopped at %d of %d", size, n, len(piece))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("pieces of %d: got %q, want %q", size, got, want)
		}
		if !s.between() {
			t.Errorf("pieces of %d: not between frames at the end", size)
		}
	}
}

func TestScannerStops(t *testing.T) {
	stream, _ := sample()
	s := scanner{skip: prefaceSize}
	n, ok := s.feed(stream, func(f *frame) bool { return f.kind != frameRSTStream })
	if want := len(stream) - 17 - 13; ok || n != want {
		t.Errorf("stopped at %d, %v, want before the reset at %d", n, ok, want)
	}
}

func TestScannerAllocatesNothing(t *testing.T) {
	stream, _ := sample()
	stream = stream[prefaceSize:]
	var s scanner
	seen := 0
	count := func(f *frame) bool { seen += f.length; return true }
	if n := testing.AllocsPerRun(100, func() { s.feed(stream, count) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzScanner holds that it does not matter how the bytes are cut, and that frames
// are those that a framer finds.
func FuzzScanner(f *testing.F) {
	stream, _ := sample()
	f.Add(stream[prefaceSize:], uint8(1))
	f.Add([]byte{0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8}, uint8(3))
	f.Add([]byte{0xff, 0xff, 0xff, 0, 8, 0, 0, 0, 1, 0xff}, uint8(9))
	f.Fuzz(func(t *testing.T, data []byte, size uint8) {
		var whole, cut []string
		var a, b scanner
		a.feed(data, func(f *frame) bool { whole = append(whole, describe(f)); return true })
		for piece := range slices.Chunk(data, max(1, int(size))) {
			b.feed(piece, func(f *frame) bool { cut = append(cut, describe(f)); return true })
		}
		if !slices.Equal(whole, cut) || a.between() != b.between() {
			t.Fatalf("in one piece %q, in pieces of %d %q", whole, size, cut)
		}
		i := 0
		for rest := data; len(rest) >= frameHeaderSize && i < len(whole); i++ {
			length := int(rest[0])<<16 | int(rest[1])<<8 | int(rest[2])
			stream := binary.BigEndian.Uint32(rest[5:]) & (1<<31 - 1)
			want := fmt.Sprintf("%d:%d/%d %d", stream, rest[3], rest[4], length)
			if got := strings.Fields(whole[i]); strings.Join(got[:2], " ") != want {
				t.Fatalf("frame %d is %q, want %s", i, whole[i], want)
			}
			rest = rest[min(len(rest), frameHeaderSize+length):]
		}
	})
}
