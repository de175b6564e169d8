package main

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter"
)

// BenchmarkGrant has Redis grant rights, alone and with a replica that must have
// them before they count. An operation is a batch, round trips included.
func BenchmarkGrant(b *testing.B) {
	for _, replica := range []bool{false, true} {
		b.Run(map[bool]string{false: "alone", true: "replica"}[replica], func(b *testing.B) {
			server := startRedis(b, replica)
			store := openStore(b, server)
			for i, size := range []int{1, 16, 256} {
				b.Run(strconv.Itoa(size), func(b *testing.B) { grant(b, server, store, uint64(i+1), size) })
			}
		})
	}
}

func grant(b *testing.B, server *server, store limiter.Store, node uint64, size int) {
	b.Helper()
	batch := limiter.Batch{Node: node}
	end := time.Now().Truncate(time.Hour).Add(time.Hour)
	for i := range size {
		batch.Assertions = append(batch.Assertions, window(i, end, time.Hour))
	}
	redis, own := server.cpu(b.Context()), ownCPU()
	for b.Loop() {
		for i := range batch.Assertions {
			a := &batch.Assertions[i]
			a.Seq++
			a.Register, a.Want = a.Register+a.Granted, 1
		}
		if err := store.Share(b.Context(), &batch); err != nil {
			b.Fatal(err)
		}
		if a := batch.Assertions[0]; !batch.Durable || a.Granted != 1 {
			b.Fatalf("durable: %v, answered %+v", batch.Durable, a)
		}
	}
	grants := float64(b.N * size)
	b.ReportMetric(float64((ownCPU()-own).Nanoseconds())/grants, "cpu-ns/grant")
	b.ReportMetric(float64((server.cpu(b.Context())-redis).Nanoseconds())/grants, "redis-ns/grant")
}

// window returns an assertion about a window of a counter.
func window(counter int, end time.Time, length time.Duration) (a limiter.Assertion) {
	binary.BigEndian.PutUint64(a.Counter[:], uint64(counter+1)*0x9e3779b97f4a7c15)
	a.Limit, a.Keep = 1<<40, int64(time.Minute)
	a.Begin, a.End = end.Add(-length).UnixNano(), end.UnixNano()
	return a
}

// BenchmarkMemory fills Redis with records of keys, and tells the bytes that each takes of
// Redis's memory: with the register of one node, and of three and ten. An operation
// is all of them, once.
func BenchmarkMemory(b *testing.B) {
	server := startRedis(b, false)
	store := openStore(b, server)
	for _, kind := range []string{"window", "sliding", "bucket"} {
		for _, nodes := range []int{1, 3, 10} {
			b.Run(fmt.Sprintf("%s/%d-nodes", kind, nodes), func(b *testing.B) {
				keys := dirty()
				windows := 1
				if kind == "sliding" { // as many as there are sub-buckets
					windows, keys = 32, keys/20
				}
				var bytes float64
				for b.Loop() {
					if err := server.client.FlushAll(b.Context()).Err(); err != nil {
						b.Fatal(err)
					}
					if err := store.Share(b.Context(), &limiter.Batch{Node: 1}); err != nil { // the epoch
						b.Fatal(err)
					}
					before := server.figure(b.Context(), "memory", "used_memory")
					for node := range nodes {
						for w := range windows {
							fill(b, store, uint64(node+1), kind, keys, w)
						}
					}
					bytes = server.figure(b.Context(), "memory", "used_memory") - before
				}
				b.ReportMetric(bytes/float64(keys), "B/key")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// fill asserts something of many keys: of one window of each, the one that is so many
// before the one that is now, or of its bucket.
func fill(b *testing.B, store limiter.Store, node uint64, kind string, keys, ago int) {
	b.Helper()
	const length = 2 * time.Minute
	end := time.Now().Truncate(length).Add(length - time.Duration(ago)*length)
	for first := 0; first < keys; first += 256 {
		batch := limiter.Batch{Node: node}
		for i := first; i < min(first+256, keys); i++ {
			a := window(i, end, length)
			a.Seq, a.Register, a.Keep = 1, 12345, int64(2*time.Hour)
			if kind == "bucket" {
				a.Begin, a.End, a.Rate, a.Period, a.Missing = 0, 0, 1, int64(time.Second), 12345
			}
			batch.Assertions = append(batch.Assertions, a)
		}
		if err := store.Share(b.Context(), &batch); err != nil {
			b.Fatal(err)
		}
		if s := batch.Assertions[0].Status; s != limiter.Applied {
			b.Fatalf("status %d", s)
		}
	}
}
