package redis_test

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/limiter/redis"
	"github.com/weir-project/weir/limiter/redis/redistest"
)

// BenchmarkShare tells, for each assertion, what the server's processor does and what ours
// does, and what the server keeps for each key. The wall clock has both and the network.
func BenchmarkShare(b *testing.B) {
	for _, valkey := range []bool{false, true} {
		for _, size := range []int{256, 16, 1} {
			for _, nodes := range []int{1, 3, 10} {
				name := map[bool]string{false: "Redis", true: "Valkey"}[valkey]
				b.Run(fmt.Sprintf("%s/fixed window/batch %d/%d nodes", name, size, nodes), func(b *testing.B) {
					benchmark(b, valkey, size, nodes, func(a *limiter.Assertion) {})
				})
			}
		}
		b.Run("sliding window/batch 256/3 nodes", func(b *testing.B) {
			benchmark(b, valkey, 256, 3, func(a *limiter.Assertion) { a.Before, a.AskPast = 31, true })
		})
		b.Run("token bucket/batch 256/3 nodes", func(b *testing.B) {
			benchmark(b, valkey, 256, 3, func(a *limiter.Assertion) {
				a.Begin, a.End, a.Rate, a.Period, a.Lease = 0, 0, 1000, int64(time.Second), int64(time.Second)
			})
		})
	}
}

func benchmark(b *testing.B, valkey bool, size, nodes int, shape func(*limiter.Assertion)) {
	server := redistest.Start(b, redistest.Options{Valkey: valkey})
	s := open(b, redis.Options{Addr: server.Addr})
	batch := &limiter.Batch{}
	for i := range size {
		a := of(1, 0, 0, 0)
		binary.LittleEndian.PutUint64(a.Counter[8:], uint64(i)*0x9e3779b97f4a7c15)
		shape(&a)
		batch.Assertions = append(batch.Assertions, a)
	}
	round := func(node int) {
		batch.Node = 0xfedcba9876543210 + uint64(node)
		for i := range batch.Assertions {
			batch.Assertions[i].Seq++
			batch.Assertions[i].Register++
		}
		if err := s.Share(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	round(0)
	alone := used(b, server)
	for node := range nodes {
		round(node)
	}
	all := used(b, server)
	server.Do(b, "CONFIG", "RESETSTAT")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := processor()
	n := 0
	for b.Loop() {
		round(n % nodes)
		n++
	}
	took := processor() - began
	runtime.ReadMemStats(&after)
	per := float64(n * size)
	b.ReportMetric(script(b, server)*1000/per, "server-ns/assertion")
	b.ReportMetric(float64(took.Nanoseconds())/per, "cpu-ns/assertion")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/per, "allocs/assertion")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/per, "ns/assertion")
	b.ReportMetric(alone/float64(size), "bytes/key")
	if nodes > 1 {
		b.ReportMetric((all-alone)/float64(size*(nodes-1)), "bytes/node")
	}
	b.ReportMetric(0, "ns/op")
}

// used returns how many bytes the server needs for all that it knows of counters.
func used(b *testing.B, server *redistest.Server) (sum float64) {
	keys, _ := server.Do(b, "KEYS", "weir:[wspb]*").([]any)
	for _, key := range keys {
		n, _ := server.Do(b, "MEMORY", "USAGE", key, "SAMPLES", 0).(int64)
		sum += float64(n)
	}
	return sum
}

// script returns how many microseconds the server spent in the script.
func script(b *testing.B, server *redistest.Server) float64 {
	var micros float64
	_, rest, _ := strings.Cut(server.Info("cmdstat_evalsha"), "usec=")
	if _, err := fmt.Sscanf(rest, "%f", &micros); err != nil {
		b.Fatal(err)
	}
	return micros
}

// processor returns how long processors worked for this process.
func processor() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r) // it does not fail
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
