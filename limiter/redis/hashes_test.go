package redis_test

import (
	"context"
	"strings"
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
	for i := range int64(3) { // those that end now, and slide with what is before
		b.Assertions = append(b.Assertions, limiter.Assertion{
			Counter: limiter.Counter{byte(i)}, Seq: 1, Register: 5, Limit: 10,
			Begin: begin, End: begin + length, Keep: length, Before: int(i),
		})
	}
	share(&b)
	all := hashes()
	if len(all) != 2 || !strings.HasPrefix(all[0]+all[1], "test:") {
		t.Fatalf("there are %q, want the windows and the sums of those that slide", all)
	}
	for _, key := range all {
		if left := server.Do(t, "PTTL", key).(int64); left < 50_000 || left > 61_000 {
			t.Errorf("%q is kept for %d ms without a beat, want a minute", key, left)
		}
	}
	realserver.Until(t, 20*time.Second, "a beat deletes them", func() bool {
		share(&limiter.Batch{Node: 1, Beat: true})
		return len(hashes()) == 0
	})
	if n := server.Do(t, "EXISTS", "test:hashes").(int64); n != 0 {
		t.Error("they are still on the list")
	}
}
