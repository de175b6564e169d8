package redis_test

import (
	"context"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/limiter/redis"
	"github.com/weir-project/weir/limiter/redis/redistest"
)

// TestSilence has a bucket's register be so old that it is forgotten, as the suite has it
// where a clock can be moved on: here the time in the record is changed.
func TestSilence(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	s := open(t, redis.Options{Addr: server.Addr, Prefix: "test:"})
	say := func(node, seq uint64, register, want int64) {
		t.Helper()
		b := limiter.Batch{Node: node, Assertions: []limiter.Assertion{{
			Counter: limiter.Counter{1}, Seq: seq, Register: register, Limit: 1000, Rate: 1, Period: int64(24 * time.Hour),
		}}}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := s.Share(ctx, &b); err != nil {
			t.Fatal(err)
		}
		if got := b.Assertions[0]; got.Status != limiter.Applied || got.Sum != want {
			t.Fatalf("node %d, %d: answered %+v, want sum %d", node, seq, got, want)
		}
	}
	// age has the register of the only node be asserted so long ago.
	age := func(d time.Duration) {
		t.Helper()
		counter := string(append([]byte{1}, make([]byte, 15)...))
		record := []byte(server.Do(t, "HGET", "test:buckets", counter).(string))
		const head, micros = 23, 29
		at := int64(0)
		for i := range 7 {
			at |= int64(record[head+micros+i]) << (8 * i)
		}
		for i := range 7 {
			record[head+micros+i] = byte((at - d.Microseconds()) >> (8 * i))
		}
		server.Do(t, "HSET", "test:buckets", counter, string(record))
	}
	say(1, 9, 100, 0)
	say(1, 10, 150, 50)
	age(limiter.Silence - time.Second)
	say(1, 11, 160, 60)
	age(limiter.Silence)
	say(1, 1, 10, 60) // the number does not matter, nor that it is less
	say(1, 2, 20, 70)
	age(limiter.Silence)
	say(2, 1, 0, 70)
	say(1, 1, 0, 70) // forgotten with the first word of node 2
}
