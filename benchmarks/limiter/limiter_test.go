package limiter

import (
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/weir-project/weir/limiter"
)

// million is how many keys there are where there are many; -short makes do with fewer.
func million() int {
	if testing.Short() {
		return 10_000
	}
	return 1_000_000
}

var keys = sync.OnceValue(func() []string {
	all := make([]string, million())
	for i := range all {
		all[i] = string(appendKey(nil, i))
	}
	return all
})

// cpu begins to measure the processor time that the process spends, and returns
// what reports it, by operation. It is what to compare on a machine that does other things
// as well; where two goroutines wait for each other, look at ns/op.
func cpu(b *testing.B) (report func()) {
	begin := spent(b)
	return func() {
		b.ReportMetric(float64(spent(b)-begin)/float64(b.N), "cpu-ns/op")
	}
}

func spent(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// each runs a benchmark of every system.
func each(b *testing.B, f func(b *testing.B, take func(key string) bool)) {
	for _, s := range systems {
		b.Run(s.name, func(b *testing.B) {
			take := s.make(b)
			b.ReportAllocs()
			f(b, take)
		})
	}
}

// BenchmarkHot takes from one key, with as many goroutines as -cpu says.
func BenchmarkHot(b *testing.B) {
	each(b, func(b *testing.B, take func(key string) bool) {
		take("hot")
		report := cpu(b)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				take("hot")
			}
		})
		report()
	})
}

// BenchmarkFive takes from five keys: Weir from all or none.
func BenchmarkFive(b *testing.B) {
	five := []string{"api", "subscription", "burst", "application", "backend"}
	each(b, func(b *testing.B, take func(key string) bool) {
		report := cpu(b)
		for b.Loop() {
			for _, key := range five {
				take(key)
			}
		}
		report()
	})
	b.Run("weir-checks", func(b *testing.B) {
		l := limiter.New(limiter.Options{})
		seed, now := limiter.NewSeed(), time.Now()
		var checks []limiter.Check
		for _, key := range five {
			checks = append(checks, limiter.Check{Limit: weirLimit(limiter.FixedWindow), Key: seed.Key(key), N: 1})
		}
		b.ReportAllocs()
		report := cpu(b)
		for b.Loop() {
			l.Take(now, checks)
		}
		report()
	})
}

// fill takes once from every key, and returns what each costs to hold.
func fill(take func(key string) bool) (bytes float64) {
	all := keys()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for _, key := range all {
		take(key)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	return float64(int64(after.HeapAlloc-before.HeapAlloc)) / float64(len(all))
}

// BenchmarkMillion takes from a million keys, each as often as the others.
func BenchmarkMillion(b *testing.B) {
	each(b, func(b *testing.B, take func(key string) bool) {
		draw(b, take, func(r *rand.Rand) int { return r.IntN(million()) })
	})
	b.Run("weir-checks", func(b *testing.B) { // no clock and no text
		l, limit, seed, now := limiter.New(limiter.Options{MaxKeys: 2 << 20}), weirLimit(limiter.FixedWindow), limiter.NewSeed(), time.Now()
		checks := []limiter.Check{{Limit: limit, N: 1}}
		take := func(key limiter.Key) {
			checks[0].Key = key
			l.Take(now, checks)
		}
		random := rand.New(rand.NewPCG(3, 4))
		drawn := make([]limiter.Key, 1<<20)
		for i := range drawn {
			drawn[i] = seed.Key(keys()[random.IntN(million())])
		}
		bytes := fill(func(key string) bool { take(seed.Key(key)); return true })
		i := 0
		report := cpu(b)
		for b.Loop() {
			take(drawn[i&(len(drawn)-1)])
			i++
		}
		report()
		b.ReportMetric(bytes, "B/key")
	})
}

// BenchmarkZipf takes from a million keys, some much more often than others.
func BenchmarkZipf(b *testing.B) {
	each(b, func(b *testing.B, take func(key string) bool) {
		zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.1, 1, uint64(million()-1))
		draw(b, take, func(*rand.Rand) int { return int(zipf.Uint64()) })
	})
}

// draw takes from keys whose numbers are drawn before, so that drawing is not
// measured. The text of each is made anew: like that of a request that has just
// come in, it stands in the cache, where the limiters' own memory need not.
func draw(b *testing.B, take func(key string) bool, next func(r *rand.Rand) int) {
	random := rand.New(rand.NewPCG(3, 4))
	drawn := make([]uint32, 1<<20)
	for i := range drawn {
		drawn[i] = uint32(next(random))
	}
	bytes := fill(take)
	text := make([]byte, 0, 64)
	i := 0
	report := cpu(b)
	for b.Loop() {
		text = appendKey(text[:0], int(drawn[i&(len(drawn)-1)]))
		take(unsafe.String(&text[0], len(text))) // no system keeps the text of a key that it has
		i++
	}
	report()
	b.ReportMetric(bytes, "B/key")
}

func appendKey(dst []byte, n int) []byte {
	return strconv.AppendInt(append(dst, "api/v1/subscriber-"...), int64(n), 10)
}
