package http2

import (
	"testing"
	"testing/synctest"
	"time"
)

// A step is n frames of one kind, received or sent.
type step struct {
	wait  time.Duration
	sent  bool
	n     int
	kind  byte
	flags byte
	empty bool
	bytes int
	code  uint32
	want  int // of n received frames, how many pass
}

func TestBudget(t *testing.T) {
	const ping, settings, window, unknown = 0x6, 0x4, 0x8, 0xf
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"requests and data are free", []step{
			{n: 10000, kind: frameHeaders, want: 10000},
			{n: 10000, kind: frameData, want: 10000},
			{n: 10000, kind: frameData, flags: flagEndStream, empty: true, want: 10000},
			{n: 10000, kind: frameContinuation, want: 10000},
		}},
		{"resets", []step{{n: 200, kind: frameRSTStream, want: 100}}},
		{"pings", []step{{n: 200, kind: ping, want: 150}}},
		{"settings", []step{{n: 200, kind: settings, want: 150}}},
		{"unknown", []step{{n: 200, kind: unknown, want: 150}}},
		{"empty data", []step{{n: 200, kind: frameData, empty: true, want: 150}}},
		{"empty continuations", []step{{n: 200, kind: frameContinuation, empty: true, want: 150}}},
		{"all control frames share one allowance", []step{
			{n: 100, kind: ping, want: 100},
			{n: 100, kind: window, want: 50},
		}},
		{"resets have their own", []step{
			{n: 150, kind: ping, want: 150},
			{n: 100, kind: frameRSTStream, want: 100},
		}},
		{"answers pay for resets", []step{
			{n: 100, kind: frameRSTStream, want: 100},
			{sent: true, n: 30, kind: frameHeaders},
			{n: 100, kind: frameRSTStream, want: 30},
		}},
		{"answers pay for no more than the allowance", []step{
			{sent: true, n: 10000, kind: frameHeaders},
			{n: 100, kind: frameRSTStream, want: 100},
			{n: 200, kind: frameRSTStream, want: 100},
		}},
		{"data pays for control frames by its size", []step{
			{n: 150, kind: window, want: 150},
			{sent: true, n: 1, kind: frameData, bytes: 16 << 10},
			{n: 100, kind: window, want: 36},
			{sent: true, n: 1, kind: frameData, bytes: 1},
			{n: 100, kind: window, want: 3}, // the one that was too much is owed
		}},
		{"data pays for control frames that come late, and all at once", []step{
			{sent: true, n: 1000, kind: frameData, bytes: 16 << 10},
			{n: 40_000, kind: window, want: 36_000 + 150},
		}},
		{"but not without end", []step{
			{sent: true, n: 10_000, kind: frameData, bytes: 16 << 10},
			{n: 100_000, kind: window, want: creditCeiling + 20 + 150},
		}},
		{"time pays for 20 a second", []step{
			{n: 150, kind: ping, want: 150},
			{wait: time.Second, n: 30, kind: ping, want: 20},
			{wait: time.Hour, n: 200, kind: ping, want: 150},
		}},
		{"streams that we reset for the client's fault", []step{
			{sent: true, n: 100, kind: frameRSTStream, code: 1},
			{n: 1, kind: frameHeaders, want: 1},
			{sent: true, n: 1, kind: frameRSTStream, code: 5},
			{n: 1, kind: frameHeaders, want: 0},
		}},
		{"streams that we reset for other reasons", []step{
			{sent: true, n: 1000, kind: frameRSTStream, code: codeNo},
			{sent: true, n: 1000, kind: frameRSTStream, code: codeCancel},
			{sent: true, n: 1000, kind: frameRSTStream, code: codeInternal},
			{sent: true, n: 1000, kind: frameRSTStream, code: codeRefused},
			{n: 1, kind: frameHeaders, want: 1},
			{sent: true, n: 1, kind: frameRSTStream, code: codeRefused},
			{n: 1, kind: frameHeaders, want: 0},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBudget(time.Now())
				for i, s := range tt.steps {
					time.Sleep(s.wait)
					passed := 0
					for range s.n {
						if s.sent {
							b.sent(s.kind, s.bytes, s.code)
						} else if b.received(s.kind, s.flags, s.empty) {
							passed++
						} else {
							break
						}
					}
					if !s.sent && passed != s.want {
						t.Errorf("step %d: %d frames passed, want %d", i, passed, s.want)
					}
				}
			})
		})
	}
}

func TestBudgetAllocatesNothing(t *testing.T) {
	b := newBudget(time.Now())
	if n := testing.AllocsPerRun(1000, func() {
		b.sent(frameData, 1000, 0)
		b.received(0x8, 0, false)
		b.received(frameRSTStream, 0, false)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
