package redis

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter"
)

// batch returns one with a bucket between windows, and its request.
func batch() (*limiter.Batch, *request) {
	window := limiter.Assertion{Counter: limiter.Counter{1}, Seq: 1, Register: 2, Want: 3, Limit: 4, Begin: 5, End: 6, Before: 1}
	b := &limiter.Batch{Node: 7, Assertions: []limiter.Assertion{
		window, {Counter: limiter.Counter{2}, Seq: 1, Want: 3, Rate: 1, Period: 1}, window,
	}}
	r := new(request)
	r.write(b, 0, 9)
	return b, r
}

// said returns an answer to batch.
func said() []byte {
	t := binary.LittleEndian.AppendUint64(nil, 1_700_000_000_000_000)
	t = binary.LittleEndian.AppendUint64(t, 9)
	t = append(t, flagReplicated)
	t = binary.LittleEndian.AppendUint16(t, 2)
	t = binary.LittleEndian.AppendUint32(t, 5)
	for i, status := range []limiter.Status{limiter.Applied, limiter.Late, limiter.Stale} { // two windows, then the bucket
		t = append(t, byte(status))
		sum, past := 10+int64(i), 20+int64(i)
		if status == limiter.Late {
			sum, past = 0, 0
		}
		t = appendUnits(appendUnits(t, sum), 0)
		if status != limiter.Stale {
			t = appendUnits(t, past)
		}
	}
	return t
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	b, r := batch()
	v, err := r.read(string(said()), b)
	if err != nil {
		t.Fatal(err)
	}
	if want := (verdict{now: 1_700_000_000 * int64(time.Second), epoch: 9, replicated: true, replicas: 2, node: 5}); v != want {
		t.Errorf("read %+v, want %+v", v, want)
	}
	for i, want := range []limiter.Assertion{
		{Status: limiter.Applied, Sum: 10, Past: 20}, {Status: limiter.Stale, Sum: 12}, {Status: limiter.Late},
	} {
		if a := b.Assertions[i]; a.Status != want.Status || a.Sum != want.Sum || a.Past != want.Past {
			t.Errorf("assertion %d: read %+v, want %+v", i, a, want)
		}
	}
}

func TestAnswerThatIsNone(t *testing.T) {
	t.Parallel()
	const first, window = answerHead, answerSize + pastSize
	for name, spoil := range map[string]func(t []byte) []byte{
		"empty":                  func([]byte) []byte { return nil },
		"short":                  func(t []byte) []byte { return t[:len(t)-1] },
		"long":                   func(t []byte) []byte { return append(t, 0) },
		"no time":                func(t []byte) []byte { clear(t[:8]); return t },
		"time without end":       func(t []byte) []byte { t[7] = 0xff; return t },
		"no epoch":               func(t []byte) []byte { clear(t[8:16]); return t },
		"unknown flags":          func(t []byte) []byte { t[16] |= 4; return t },
		"no status":              func(t []byte) []byte { t[first] = 0; return t },
		"unknown status":         func(t []byte) []byte { t[first] = 5; return t },
		"sum too large":          func(t []byte) []byte { t[first+7] = 0xff; return t },
		"past too large":         func(t []byte) []byte { t[first+21] = 0xff; return t },
		"more than was wanted":   func(t []byte) []byte { t[first+8] = 4; return t },
		"granted when fenced":    func(t []byte) []byte { t[16] |= flagFenced; t[first+8] = 1; return t },
		"granted though late":    func(t []byte) []byte { t[first+window+8] = 1; return t },
		"granted though stale":   func(t []byte) []byte { t[first+2*window+8] = 1; return t },
		"sum of what is no more": func(t []byte) []byte { t[first+window+1] = 1; return t },
	} {
		b, r := batch()
		if _, err := r.read(string(spoil(said())), b); !errors.Is(err, errAnswer) {
			t.Errorf("%s: got error %v, want %v", name, err, errAnswer)
		}
	}
}

// FuzzAnswer reads whatever comes: never more than was wanted, nor what cannot be.
func FuzzAnswer(f *testing.F) {
	f.Add(string(said()))
	f.Fuzz(func(t *testing.T, text string) {
		b, r := batch()
		v, err := r.read(text, b)
		if err != nil {
			return
		}
		if v.now <= 0 || v.epoch == 0 || v.node < 0 || v.replicas < 0 {
			t.Errorf("read %+v", v)
		}
		for _, a := range b.Assertions {
			if a.Status < limiter.Applied || a.Status > limiter.Early || a.Granted < 0 || a.Granted > a.Want ||
				a.Sum < 0 || a.Sum > most || a.Past < 0 || a.Past > most || v.fenced && a.Granted > 0 {
				t.Errorf("read %+v", a)
			}
		}
	})
}

func TestRatio(t *testing.T) {
	t.Parallel()
	for _, test := range [][4]uint64{
		{10, 1e9, 1, 1e8}, {1e9, 1e6, 1000, 1}, {7, 1e9, 7, 1e9}, {1, 1<<63 - 1, 1, 1<<63 - 1}, {most, 1 << 62, 1, 1 << 9}, {most, 1, most, 1},
	} {
		if rate, period := ratio(test[0], test[1]); rate != test[2] || period != test[3] {
			t.Errorf("%d in %d: got %d in %d, want %d in %d", test[0], test[1], rate, period, test[2], test[3])
		}
	}
}

func TestMicros(t *testing.T) {
	t.Parallel()
	for ns, want := range map[int64]int64{0: 0, 1: 1, 999: 1, 1000: 1, 1001: 2, -1: 0, -999: 0, -1000: -1, -1001: -1, 1<<63 - 1: 9223372036854776} {
		if got := micros(ns); got != want {
			t.Errorf("%d ns: got %d, want %d", ns, got, want)
		}
	}
}
