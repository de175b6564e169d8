package limiter

import (
	"math"
	"testing"
	"time"
	"unsafe"
)

func TestSlotSize(t *testing.T) {
	if n := unsafe.Sizeof(slot{}); n != 32 {
		t.Errorf("a slot has %d bytes, want 32", n)
	}
}

func TestPack(t *testing.T) {
	for _, mantissa := range []uint{10, 17} {
		for _, v := range []int64{0, 1, 2, 3, 10, 1023, 1024, 2047, 2048, 2049, 60e9, 1<<40 + 12345, math.MaxInt64 - 1, math.MaxInt64} {
			got := unpack(pack(v, mantissa), mantissa)
			if got > v || got < v-v>>mantissa || v < 2<<mantissa && got != v {
				t.Errorf("%d in %d bits is %d", v, mantissa, got)
			}
		}
	}
}

func FuzzPack(f *testing.F) {
	f.Add(int64(1), int64(2))
	f.Fuzz(func(t *testing.T, a, b int64) {
		a, b = max(a, 0), max(b, 0)
		for _, mantissa := range []uint{10, 17} {
			pa, pb := pack(a, mantissa), pack(b, mantissa)
			if ua := unpack(pa, mantissa); ua > a || ua < a-a>>mantissa {
				t.Errorf("%d becomes %d", a, ua)
			}
			if a <= b && pa > pb {
				t.Errorf("%d is packed above %d", a, b)
			}
		}
	})
}

func TestShape(t *testing.T) {
	for _, l := range []Limit{
		{Count: 10, Window: Window{Length: time.Millisecond}},
		{Count: 1e9, Window: Window{Length: time.Minute}, Algorithm: SlidingWindow},
		{Count: 10, Window: Window{Length: time.Hour}, Algorithm: TokenBucket},
		{Count: 1e9, Burst: 1, Window: Window{Length: time.Second}, Algorithm: TokenBucket},
		{Count: 0, Window: Window{Length: time.Second}, Algorithm: TokenBucket},
		{Count: math.MaxInt64, Window: Window{Length: math.MaxInt64}},
		{Count: 5, Window: Window{Calendar: Month}},
	} {
		m := withSide(shape(&l), 77)
		size, length := l.Count, l.Window.usual()
		if l.Algorithm == TokenBucket {
			size = l.depth()
			length = l.fillTime(size)
		}
		if kind(m) != l.Algorithm || side(m) != 77 || m&(lockBit|movedBit|useMask) != 0 {
			t.Errorf("%v: kind %v, side %d, flags %b", &l, kind(m), side(m), m&(lockBit|movedBit|useMask))
		}
		if got := capacity(m); got > size || got < size-size>>10 {
			t.Errorf("%v: capacity %d, want %d", &l, got, size)
		}
		if got := span(m); got < length || got > addSat(length, length>>16+1) {
			t.Errorf("%v: span %d, want %d", &l, got, length)
		}
	}
}

func TestSpansDiffer(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	var limits []Limit
	for _, w := range []Window{
		{Length: time.Millisecond},
		{Length: time.Second},
		{Length: time.Minute},
		{Length: 61 * time.Second},
		{Length: 24 * time.Hour},
		{Calendar: Day},
		{Calendar: Day, Every: 2},
		{Calendar: Day, Location: berlin},
		{Calendar: Month},
	} {
		limits = append(limits, Limit{Count: 1, Window: w})
	}
	for i := range limits {
		for j := range limits {
			if same := shape(&limits[i])&spanMask == shape(&limits[j])&spanMask; same != (i == j) {
				t.Errorf("%v looks the same as %v: %v", &limits[i], &limits[j], same)
			}
		}
	}
}

func TestUse(t *testing.T) {
	m := shape(perMinute(5))
	for range 10 {
		m = used(m)
	}
	if m&^useMask != shape(perMinute(5)) || m&useMask != useMask {
		t.Errorf("after many uses meta is %x", m)
	}
	for range 10 {
		m = aged(m)
	}
	if m != shape(perMinute(5)) {
		t.Errorf("after ageing meta is %x", m)
	}
}

func TestKeyHash(t *testing.T) {
	seen := make(map[uint64]Key)
	for i := range Key(100000) {
		for _, k := range []Key{i, i << 44, ^i} {
			h := k.hash()
			if other, ok := seen[h]; ok && other != k || h <= dead {
				t.Fatalf("key %x has the hash %x, as key %x has", k, h, other)
			}
			seen[h] = k
		}
	}
}
