package load

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

// Every duration is in a bucket whose end is not before it and at most a 64th beyond.
func TestBuckets(t *testing.T) {
	if got := bucketOf(longest); got != buckets-1 {
		t.Fatalf("the longest is in bucket %d, want the last, %d", got, buckets-1)
	}
	at := int64(-1)
	for i := range buckets {
		first, last := at+1, bucketEnd(i)
		if last < first {
			t.Fatalf("bucket %d ends at %d, before it begins at %d", i, last, first)
		}
		if bucketOf(first) != i || bucketOf(last) != i {
			t.Fatalf("bucket %d is %d to %d, which are in %d and %d", i, first, last, bucketOf(first), bucketOf(last))
		}
		if width := last - first; width > first/64 {
			t.Fatalf("bucket %d from %d is %d wide", i, first, width+1)
		}
		at = last
	}
}

func TestHistogram(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 || h.Max() != 0 || h.Mean() != 0 {
		t.Errorf("empty: %v %v %v, want zeros", h.Quantile(0.5), h.Max(), h.Mean())
	}
	for i := 1; i <= 100; i++ {
		h.Record(time.Duration(i)) // below 128 ns all is exact
	}
	for _, tt := range []struct {
		q    float64
		want time.Duration
	}{{0, 1}, {0.01, 1}, {0.5, 50}, {0.505, 51}, {0.99, 99}, {0.991, 100}, {1, 100}} {
		if got := h.Quantile(tt.q); got != tt.want {
			t.Errorf("quantile %g: %d, want %d", tt.q, got, tt.want)
		}
	}
	if h.Count() != 100 || h.Mean() != 50 || h.Max() != 100 {
		t.Errorf("count %d, mean %d, max %d; want 100, 50, 100", h.Count(), h.Mean(), h.Max())
	}
}

// Quantiles of many durations are those of the sorted list, but for the width of a bucket.
func TestQuantiles(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var h Histogram
	all := make([]time.Duration, 20_000)
	for i := range all {
		all[i] = time.Duration(random.ExpFloat64() * float64(time.Millisecond))
		h.Record(all[i])
	}
	slices.Sort(all)
	for _, q := range []float64{0.001, 0.1, 0.5, 0.9, 0.99, 0.999} {
		want := all[int(q*float64(len(all)))-1]
		if got := h.Quantile(q); got < want || got > want+want/64+1 {
			t.Errorf("quantile %g: %v, want %v or at most 1.6 %% more", q, got, want)
		}
	}
	if got, want := h.Quantile(1), all[len(all)-1]; got != want {
		t.Errorf("quantile 1: %v, want the longest, %v", got, want)
	}
}

func TestHistogramEnds(t *testing.T) {
	var h, sum Histogram
	h.Record(-time.Second)
	h.Record(100 * time.Hour)
	sum.Record(time.Minute)
	sum.Add(&h)
	if sum.Count() != 3 || sum.Quantile(0.3) != 0 || sum.Max() != time.Hour {
		t.Errorf("%d durations from %v to %v, want 3 from 0 to 1h", sum.Count(), sum.Quantile(0.3), sum.Max())
	}
}

func TestHistogramTogether(t *testing.T) {
	var h Histogram
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for j := range 1000 {
				h.Record(time.Duration(i*1000 + j))
			}
		})
	}
	group.Wait()
	if h.Count() != 8000 || h.Max() != 7999 {
		t.Errorf("%d durations up to %d, want 8000 up to 7999", h.Count(), h.Max())
	}
}
