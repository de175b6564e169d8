package limiter

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/sethvargo/go-limiter/memorystore"
	"github.com/throttled/throttled/v2"
	"github.com/throttled/throttled/v2/store/memstore"
	"github.com/weir-project/weir/limiter"
	"golang.org/x/time/rate"
)

// perHour is a limit that is never reached, so that all do the same work.
const perHour = 1 << 40

// A system is a limiter under measurement. Its take is given a key and tells
// whether that may pass; it may be called by many goroutines at once.
type system struct {
	name string
	make func(b *testing.B) (take func(key string) bool)
}

var systems = []system{
	{"weir", makeWeir(limiter.FixedWindow)},
	{"weir-check", makeWeirCheck},
	{"weir-sliding", makeWeir(limiter.SlidingWindow)},
	{"weir-bucket", makeWeir(limiter.TokenBucket)},
	{"throttled", makeThrottled},
	{"sethvargo", makeSethvargo},
	{"xtimerate", makeXTimeRate},
}

func weirLimit(a limiter.Algorithm) *limiter.Limit {
	return &limiter.Limit{Count: perHour, Window: limiter.Window{Length: time.Hour}, Algorithm: a}
}

func makeWeir(a limiter.Algorithm) func(b *testing.B) func(key string) bool {
	return func(*testing.B) func(key string) bool {
		l := limiter.New(limiter.Options{MaxKeys: 2 << 20})
		seed := limiter.NewSeed()
		limit := weirLimit(a)
		return func(key string) bool {
			checks := [1]limiter.Check{{Limit: limit, Key: seed.Key(key), N: 1}}
			l.Prefetch(checks[0].Key) // while the clock is read
			_, ok := l.Take(time.Now(), checks[:])
			return ok
		}
	}
}

// makeWeirCheck is one check of many, as by a gateway that has read the clock
// for its request.
func makeWeirCheck(*testing.B) func(key string) bool {
	l := limiter.New(limiter.Options{MaxKeys: 2 << 20})
	seed := limiter.NewSeed()
	limit, now := weirLimit(limiter.FixedWindow), time.Now()
	return func(key string) bool {
		checks := [1]limiter.Check{{Limit: limit, Key: seed.Key(key), N: 1}}
		_, ok := l.Take(now, checks[:])
		return ok
	}
}

func makeThrottled(b *testing.B) func(key string) bool {
	store, err := memstore.NewCtx(0) // without its list of the least recently used, which costs more
	if err != nil {
		b.Fatal(err)
	}
	limit, err := throttled.NewGCRARateLimiterCtx(store, throttled.RateQuota{MaxRate: throttled.PerSec(1e9), MaxBurst: 1e9})
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	return func(key string) bool {
		limited, _, err := limit.RateLimitCtx(ctx, key, 1)
		return err == nil && !limited
	}
}

func makeSethvargo(b *testing.B) func(key string) bool {
	store, err := memorystore.New(&memorystore.Config{Tokens: perHour, Interval: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	b.Cleanup(func() { store.Close(ctx) })
	return func(key string) bool {
		_, _, _, ok, err := store.Take(ctx, key)
		return err == nil && ok
	}
}

func makeXTimeRate(*testing.B) func(key string) bool {
	var limiters sync.Map
	return func(key string) bool {
		l, ok := limiters.Load(key)
		if !ok {
			l, _ = limiters.LoadOrStore(key, rate.NewLimiter(1e9, 1e9))
		}
		return l.(*rate.Limiter).Allow()
	}
}
