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
