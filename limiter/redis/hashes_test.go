package redis_test

import (
	"context"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/limiter/redis"
	"github.com/weir-project/weir/limiter/redis/redistest"
	"github.com/weir-project/weir/test/realserver"
)

// TestHashesAreDeleted shows that windows which are over leave with the next beat, and
// would without one, a minute later.
func TestHashesAreDeleted(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	s := open(t, redis.Options{Addr: server.Addr, Prefix: "test:"})
	share := func(b *limiter.Batch) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := s.Share(ctx, b); err != nil {
			t.Fatal(err)
		}
	}
	hashes := func() (all []string) {
		t.Helper()
		for _, key := range server.Do(t, "KEYS", "test:*").([]any) {
			if k := key.(string); k != "test:epoch" && k != "test:nodes" && k != "test:hashes" {
				all = append(all, k)
			}
		}
		return all
	}
	b := limiter.Batch{Node: 1}
	share(&b) // the time
	const length = int64(100 * time.Millisecond)
	begin := b.Now - b.Now%length
	for i := range int64(100) { // more than a beat would delete if it were a few at a time
		b.Assertions = append(b.Assertions, limiter.Assertion{
			Counter: limiter.Counter{200, byte(i)}, Seq: 1, Register: 5, Limit: 10,
			Begin: begin - i*length, End: begin - (i-1)*length, Keep: (i + 1) * length,
		})
	}
	for i := range int64(3) { // those that end now, and slide with what is before
		b.Assertions = append(b.Assertions, limiter.Assertion{
			Counter: limiter.Counter{byte(i)}, Seq: 1, Register: 5, Limit: 10,
			Begin: begin, End: begin + length, Keep: length, Before: int(i),
		})
	}
	share(&b)
	all := hashes()
	if len(all) < 101 {
		t.Fatalf("there are %q, want 100 of windows, and the sums of those that slide", all)
	}
	for _, key := range all {
		if left := server.Do(t, "PTTL", key).(int64); left < 50_000 || left > 62_000 {
			t.Errorf("%q is kept for %d ms without a beat, want a minute", key, left)
		}
	}
	over := limiter.Batch{Node: 1}
	realserver.Until(t, 20*time.Second, "all are over", func() bool {
		share(&over)
		return over.Now > begin+2*length+int64(3*time.Second)
	})
	if n := len(hashes()); n != len(all) {
		t.Errorf("%d of %d are left before a beat", n, len(all))
	}
	share(&limiter.Batch{Node: 1, Beat: true})
	if left := hashes(); len(left) != 0 {
		t.Errorf("a beat leaves %d: %q", len(left), left)
	}
	if n := server.Do(t, "EXISTS", "test:hashes").(int64); n != 0 {
		t.Error("they are still on the list")
	}
}

// TestBucketsAreSwept shows that buckets which are full again, and have been for a minute or
// two, leave as beats and new ones come, and that those which are not stay.
func TestBucketsAreSwept(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	s := open(t, redis.Options{Addr: server.Addr, Prefix: "test:"})
	bucket := func(kind, i int) limiter.Assertion {
		return limiter.Assertion{
			Counter: limiter.Counter{byte(kind), byte(i), byte(i >> 8)}, Seq: 1, Register: 5, Missing: 5, Limit: 10,
			Rate: 1000, Period: int64(time.Second),
		}
	}
	share := func(b limiter.Batch) {
		t.Helper()
		b.Node = 1
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := s.Share(ctx, &b); err != nil {
			t.Fatal(err)
		}
	}
	const many = 1000
	var some limiter.Batch
	for i := range many {
		some.Assertions = append(some.Assertions, bucket(1, i))
	}
	share(some)
	stays := bucket(2, 0)
	stays.Period = int64(time.Hour) // to refill 5 takes 18 s
	share(limiter.Batch{Assertions: []limiter.Assertion{stays}})
	left := func() int64 { return server.Do(t, "HLEN", "test:buckets").(int64) - 1 } // one that only fills
	if n := left(); n != many+1 {
		t.Fatalf("there are %d buckets, want %d", n, many+1)
	}
	if ttl := server.Do(t, "PTTL", "test:buckets").(int64); ttl < 120_000 || ttl > 300_000 {
		t.Errorf("all of them are kept for %d ms, want two minutes and some", ttl)
	}
	share(limiter.Batch{Beat: true})
	if n := left(); n != many+1 {
		t.Errorf("%d buckets are left of %d that are not over", n, many+1)
	}
	age(t, server, 1, many)
	for beats := 0; left() > 1; beats++ {
		if beats > many/50 {
			t.Fatalf("after %d beats %d buckets are left, want one", beats, left())
		}
		share(limiter.Batch{Beat: true})
	}
	// One that is over begins anew, though nobody has deleted it.
	age(t, server, 2, 1)
	again := limiter.Batch{Node: 1, Assertions: []limiter.Assertion{stays}}
	again.Assertions[0].Missing = 0
	if err := s.Share(t.Context(), &again); err != nil {
		t.Fatal(err)
	}
	if a := again.Assertions[0]; a.Status != limiter.Applied || a.Sum != 0 {
		t.Errorf("a bucket that was over for long: answered %+v, want a new one", a)
	}
}

// age has the buckets of a kind be over: in their records is until when they are kept.
func age(t *testing.T, server *redistest.Server, kind byte, some int) {
	t.Helper()
	all := server.Do(t, "HGETALL", "test:buckets").([]any)
	for i := 0; i+1 < len(all); i += 2 {
		name, record := all[i].(string), []byte(all[i+1].(string))
		if name == "" || name[0] != kind {
			continue
		}
		const kept = 16
		copy(record[kept:], make([]byte, 6))
		server.Do(t, "HSET", "test:buckets", name, string(record))
		some--
	}
	if some != 0 {
		t.Fatalf("%d buckets are not there", some)
	}
}
