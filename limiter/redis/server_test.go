package redis_test

import (
	"context"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/limiter/redis"
	"github.com/weir-project/weir/limiter/redis/redistest"
	"github.com/weir-project/weir/test/realserver"
)

// awaitGrants waits until the fence is over, and returns the epoch.
func awaitGrants(t testing.TB, s *redis.Store) uint64 {
	t.Helper()
	var epoch uint64
	realserver.Until(t, 10*time.Second, "the store grants", func() bool {
		b, err := try(t, s, 1, limiter.Assertion{Counter: limiter.Counter{255}, Begin: begin, End: begin + hour}, time.Second)
		epoch = b.Epoch
		return err == nil && !b.Fenced
	})
	return epoch
}

// TestRestart has a server come back empty, and with what it had saved: both are
// another epoch, since something may be missing.
func TestRestart(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		args []string
		kept int64
	}{
		{"empty", nil, 0},
		{"AOF", []string{"--appendonly", "yes", "--appendfsync", "always"}, 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, redistest.Options{Args: test.args})
			s := open(t, redis.Options{Addr: server.Addr})
			b, _ := share(t, s, 1, of(1, 1, 5, 0))
			server.Restart(t)
			again, a := share(t, s, 1, of(1, 0, 0, 0))
			if again.Epoch == b.Epoch || !again.Fenced {
				t.Errorf("epoch %d and then %d, fenced %v; want another one, fenced", b.Epoch, again.Epoch, again.Fenced)
			}
			if a.Sum != test.kept {
				t.Errorf("%d units are known, want %d", a.Sum, test.kept)
			}
		})
	}
}

// TestKept has a window be kept for longer than it was at first.
func TestKept(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	s := open(t, redis.Options{Addr: server.Addr})
	for i, keep := range []int64{0, 9 * hour, hour} {
		a := of(1, uint64(i)+1, 5, 0)
		a.Keep = keep
		b, _ := share(t, s, 1, a)
		want := []int64{0, 9 * hour, 9 * hour}[i] + a.End - b.Now + int64(time.Minute) // nobody says that it lives
		left, _ := server.Do(t, "PTTL", server.Do(t, "KEYS", "weir:w*").([]any)[0]).(int64)
		if d := time.Duration(want) - time.Duration(left)*time.Millisecond; d.Abs() > time.Minute/2 {
			t.Errorf("kept for %d: it expires after %d ms, want %v", keep, left, time.Duration(want))
		}
	}
}

// TestForgottenScript has the server forget the script.
func TestForgottenScript(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	s := open(t, redis.Options{Addr: server.Addr})
	for i := range uint64(3) {
		if _, a := share(t, s, 1, of(1, i+1, int64(i), 0)); a.Status != limiter.Applied || a.Sum != int64(i) {
			t.Errorf("answered %+v, want %d units applied", a, i)
		}
		server.Do(t, "SCRIPT", "FLUSH")
	}
}

// TestHang has the server hang: calls end in time, and once it goes on all is as it was.
func TestHang(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	s := open(t, redis.Options{Addr: server.Addr, PoolSize: 2})
	share(t, s, 1, of(1, 1, 5, 0))
	server.Hang()
	for i := range uint64(5) {
		_, err := try(t, s, 1, of(1, 2+i, 6, 0), 50*time.Millisecond)
		if err == nil || !strings.Contains(err.Error(), "no answer in time") {
			t.Errorf("got error %v", err)
		}
	}
	began := time.Now()
	short := open(t, redis.Options{Addr: server.Addr, Timeout: 100 * time.Millisecond})
	if err := short.Share(context.Background(), &limiter.Batch{Node: 1}); err == nil || time.Since(began) > 600*time.Millisecond {
		t.Errorf("without a deadline: error %v after %v", err, time.Since(began))
	}
	server.Resume()
	if _, a := share(t, s, 1, of(1, 9, 7, 0)); a.Status != limiter.Applied || a.Sum != 7 {
		t.Errorf("answered %+v, want 7 units", a)
	}
}

// TestFull has the server's memory be full.
func TestFull(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{Args: []string{"--maxmemory-policy", "noeviction"}})
	s := open(t, redis.Options{Addr: server.Addr})
	share(t, s, 1, of(1, 1, 5, 0))
	server.Do(t, "CONFIG", "SET", "maxmemory", "1")
	_, err := try(t, s, 1, of(1, 2, 6, 0), time.Second)
	wantError(t, err, "memory is full (maxmemory)")
	server.Do(t, "CONFIG", "SET", "maxmemory", "0")
	if _, a := share(t, s, 1, of(1, 2, 6, 0)); a.Status != limiter.Applied || a.Sum != 6 {
		t.Errorf("answered %+v, want that nothing of what failed was written", a)
	}
}

// TestRefused shares with servers that say no.
func TestRefused(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	server.Do(t, acl...)
	replica := redistest.Start(t, redistest.Options{Of: server})
	server.AwaitReplicas(t, 1)
	share(t, open(t, redis.Options{Addr: server.Addr}), 1, of(1, 1, 5, 0)) // of which the replica knows
	server.Do(t, "WAIT", 1, 5000)
	cluster := redistest.Start(t, redistest.Options{Args: []string{"--cluster-enabled", "yes"}})
	secret := redistest.Start(t, redistest.Options{TLS: true})
	for _, test := range []struct {
		name, want string
		options    redis.Options
	}{
		{"a wrong password", "does not know this user and password", redis.Options{Addr: server.Addr, User: "weir", Password: "guess"}},
		{"another prefix", "may not do this", redis.Options{Addr: server.Addr, User: "weir", Password: "s3cret", Prefix: "other:"}},
		{"a replica", "is a replica", redis.Options{Addr: replica.Addr}},
		{"a cluster", "sharded cluster", redis.Options{Addr: cluster.Addr}},
		{"no such database", "no such database", redis.Options{Addr: server.Addr, Database: 99}},
		{"TLS where there is none", "tls", redis.Options{Addr: server.Addr, TLS: secret.TLS, DialTimeout: 300 * time.Millisecond}},
		{"no TLS where there is some", "", redis.Options{Addr: secret.Addr}}, // it may just hang up
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t, test.options)
			for range 2 {
				_, err := try(t, s, 1, of(1, 0, 0, 0), time.Second)
				if err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(test.want)) {
					t.Errorf("got error %v, want one with %q", err, test.want)
				}
			}
		})
	}
	server.Do(t, "CONFIG", "SET", "requirepass", "s3cret")
	_, err := try(t, open(t, redis.Options{Addr: server.Addr}), 1, of(1, 0, 0, 0), time.Second)
	wantError(t, err, "asks for a password")
	share(t, open(t, redis.Options{Addr: server.Addr, Password: "s3cret"}), 1, of(1, 0, 0, 0))
}

// TestLateAnswers has answers come too late, again and again. None is ever taken for
// that of another call: each call asks for a counter of its own, and must be told of that.
func TestLateAnswers(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	n := realserver.NewNetwork(t, server.Addr)
	s := open(t, redis.Options{Addr: n.Addr, PoolSize: 2, ClientName: "late", Database: 1})
	const counters = 50
	for i := range int64(counters) {
		share(t, s, 1, of(byte(i), 1, 1000+i, 0))
	}
	slow := n.Worse("latency", "downstream", map[string]any{"latency": 20, "jitter": 20})
	late := 0
	for round := range 3 {
		for i := range int64(counters) {
			b, err := try(t, s, 2, of(byte(i), 0, 0, 0), 25*time.Millisecond)
			if err != nil && strings.Contains(err.Error(), "no answer in time") {
				late++
			} else if sum := b.Assertions[0].Sum; err == nil && sum != 1000+i {
				t.Fatalf("round %d: counter %d has %d units, want %d", round, i, sum, 1000+i)
			}
		}
	}
	if late == 0 {
		t.Error("no answer was late")
	}
	slow()
	realserver.Until(t, 5*time.Second, "the store works again", func() bool {
		_, err := try(t, s, 1, of(1, 0, 0, 0), time.Second)
		return err == nil
	})
	for i := range int64(counters) {
		if _, a := share(t, s, 2, of(byte(i), 0, 0, 0)); a.Sum != 1000+i {
			t.Fatalf("counter %d has %d units, want %d", i, a.Sum, 1000+i)
		}
	}
}

// TestBlackHole has the network swallow what is sent, one way or the other.
func TestBlackHole(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	n := realserver.NewNetwork(t, server.Addr)
	for _, stream := range []string{"upstream", "downstream"} {
		s := open(t, redis.Options{Addr: n.Addr, PoolSize: 2})
		share(t, s, 1, of(1, 1, 5, 0))
		mend := n.Worse("timeout", stream, map[string]any{"timeout": 0})
		for range 4 {
			if _, err := try(t, s, 1, of(1, 2, 6, 0), 60*time.Millisecond); err == nil {
				t.Errorf("%s: there was no error", stream)
			}
		}
		mend()
		realserver.Until(t, 5*time.Second, "the store works again", func() bool {
			_, err := try(t, s, 1, of(1, 0, 0, 0), time.Second)
			return err == nil
		})
	}
}

// TestLongBuckets refills buckets at rates for which the script's numbers are
// nearly too small.
func TestLongBuckets(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	s := open(t, redis.Options{Addr: server.Addr})
	const most, day = 1 << 53, 24 * hour
	for i, r := range []struct{ rate, period int64 }{
		{most - 1, 30*day + 1}, {999_999_937, 30*day + 1}, {1<<50 + 1, 100*day + 3}, {most - 1, 100 * day}, {7, int64(time.Millisecond) + 1}, {most, 1},
	} {
		t.Run(fmt.Sprintf("%d in %v", r.rate, time.Duration(r.period)), func(t *testing.T) {
			t.Parallel()
			a := limiter.Assertion{Counter: limiter.Counter{byte(i)}, Seq: 1, Missing: most, Limit: most, Rate: r.rate, Period: r.period}
			b, _ := share(t, s, 1, a)
			began := b.Now
			for range 20 {
				time.Sleep(3 * time.Millisecond) // something flows in
				a.Seq = 0
				b, got := share(t, s, 1, a)
				n := new(big.Int).Mul(big.NewInt(b.Now-began), big.NewInt(r.rate))
				n.Div(n, big.NewInt(r.period))
				want := int64(0)
				if n.IsInt64() {
					want = max(most-n.Int64(), 0)
				}
				if got.Sum != want {
					t.Fatalf("%d are missing after %d ns, want %d", got.Sum, b.Now-began, want)
				}
			}
		})
	}
}
