package redis_test

import (
	"context"
	"flag"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/limiter/redis"
)

func TestMain(m *testing.M) {
	// These tests wait more than they compute: more of them than processors.
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("16") // it is a number
	}
	goleak.VerifyTestMain(m)
}

const hour = int64(time.Hour)

// open returns a store that is closed with the test.
func open(t testing.TB, o redis.Options) *redis.Store {
	t.Helper()
	s, err := redis.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// run runs s until the test ends.
func run(t testing.TB, s *redis.Store) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// begin is that of the window that assertions of these tests are of.
var begin = time.Now().Truncate(time.Hour).UnixNano()

// of returns an assertion of a window of two hours.
func of(counter byte, seq uint64, register, want int64) limiter.Assertion {
	return limiter.Assertion{
		Counter: limiter.Counter{counter}, Seq: seq, Register: register, Want: want, Limit: 1 << 40,
		Begin: begin - hour, End: begin + 2*hour, Keep: hour,
	}
}

// share shares an assertion of a node, which must do.
func share(t testing.TB, s *redis.Store, node uint64, a limiter.Assertion) (*limiter.Batch, limiter.Assertion) {
	t.Helper()
	b, err := try(t, s, node, a, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return b, b.Assertions[0]
}

// try shares an assertion of a node within some time.
func try(t testing.TB, s *redis.Store, node uint64, a limiter.Assertion, within time.Duration) (*limiter.Batch, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	b := &limiter.Batch{Node: node, Assertions: []limiter.Assertion{a}}
	began := time.Now()
	err := s.Share(ctx, b)
	if took := time.Since(began); took > within+500*time.Millisecond { // the machine may be busy
		t.Errorf("the call took %v, with a deadline of %v", took, within)
	}
	return b, err
}
