package redis_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/limiter/redis"
	"github.com/weir-project/weir/limiter/redis/redistest"
	"github.com/weir-project/weir/test/realserver"
)

// A fleet is a primary, a replica, and three Sentinels.
type fleet struct {
	primary, replica *redistest.Server
	sentinels        *redistest.Sentinels
}

func startFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{primary: redistest.Start(t, redistest.Options{})}
	f.replica = redistest.Start(t, redistest.Options{Of: f.primary})
	f.primary.AwaitReplicas(t, 1)
	f.sentinels = redistest.StartSentinels(t, 3, 1, f.primary)
	return f
}

func (f *fleet) open(t *testing.T) *redis.Store {
	t.Helper()
	s := open(t, redis.Options{
		SentinelMaster: redistest.Master, SentinelAddresses: f.sentinels.Addresses,
		Timeout: 500 * time.Millisecond, DialTimeout: 500 * time.Millisecond,
	})
	run(t, s)
	return s
}

// A load asserts registers again and again, and notes what it was told.
type load struct {
	t    *testing.T
	s    *redis.Store
	node uint64
	stop chan struct{}
	all  sync.WaitGroup

	mu      sync.Mutex
	seq     uint64
	durable int64            // the register, with all grants that were durable
	shown   []*limiter.Batch // the first answer of each epoch
	outage  time.Duration    // the longest between two answers
	last    time.Time
}

func startLoad(t *testing.T, s *redis.Store, node uint64) *load {
	l := &load{t: t, s: s, node: node, stop: make(chan struct{}), last: time.Now()}
	l.all.Go(func() {
		for {
			select {
			case <-l.stop:
				return
			case <-time.After(5 * time.Millisecond):
				l.step()
			}
		}
	})
	return l
}

func (l *load) end() {
	close(l.stop)
	l.all.Wait()
}

// step asserts what the node has: what was not granted durably it never had.
func (l *load) step() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	b, err := try(l.t, l.s, l.node, of(9, l.seq, l.durable, 3), 300*time.Millisecond)
	if err != nil {
		return
	}
	now := time.Now()
	l.outage, l.last = max(l.outage, now.Sub(l.last)), now
	if len(l.shown) == 0 || l.shown[len(l.shown)-1].Epoch != b.Epoch {
		l.shown = append(l.shown, b)
	}
	if b.Durable {
		l.durable += b.Assertions[0].Granted
	}
}

// TestFailover kills a primary under load. Sharing goes on within five seconds, in a
// new epoch that is fenced at first, and what was granted durably is known to the new primary
// before anybody has told it again.
func TestFailover(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	s := f.open(t)
	first := awaitGrants(t, s)
	loads := []*load{startLoad(t, s, 1), startLoad(t, s, 2)}
	realserver.Until(t, 10*time.Second, "much is granted durably", func() bool {
		for _, l := range loads {
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.durable < 60 {
				return false
			}
		}
		return true
	})
	f.primary.Kill()
	killed := time.Now()
	realserver.Until(t, 15*time.Second, "the Sentinels have another primary", func() bool { return f.sentinels.Primary() == f.replica.Addr })
	realserver.Until(t, 10*time.Second, "grants are durable again", func() bool {
		for _, l := range loads {
			l.mu.Lock()
			defer l.mu.Unlock()
			if len(l.shown) < 2 {
				return false
			}
		}
		return true
	})
	t.Logf("the new primary answered %v after the old one was killed", time.Since(killed))
	for _, l := range loads {
		l.end()
		if l.outage > 5*time.Second {
			t.Errorf("node %d got no answer for %v", l.node, l.outage)
		}
		second := l.shown[1]
		if second.Epoch == first || !second.Fenced || second.Assertions[0].Granted > 0 {
			t.Errorf("node %d: the new primary answered %+v, want another epoch than %d, fenced", l.node, second, first)
		}
		if a := second.Assertions[0]; a.Sum < l.durable {
			t.Errorf("node %d: the new primary knows %d units, want at least its %d", l.node, a.Sum, l.durable)
		}
	}
	if epoch := awaitGrants(t, s); epoch == first {
		t.Error("the epoch is still the old one")
	}
	// Alone, and never with a replica, what it grants is as durable as can be.
	if b, a := share(t, s, 3, of(9, 1, 0, 3)); !b.Durable || a.Granted != 3 {
		t.Errorf("the new primary answered %+v, want a durable grant", b)
	}
}

// TestDurableGrantsSurvive takes durable grants, and kills the primary in the
// middle of it: the replica knows all of them.
func TestDurableGrantsSurvive(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t, redistest.Options{})
	replica := redistest.Start(t, redistest.Options{Of: primary})
	primary.AwaitReplicas(t, 1)
	s := open(t, redis.Options{Addr: primary.Addr, Timeout: 300 * time.Millisecond})
	awaitGrants(t, s)
	var loads []*load
	for node := range uint64(4) {
		loads = append(loads, startLoad(t, s, node+1))
	}
	time.Sleep(300 * time.Millisecond) // under load
	primary.Kill()
	var durable int64
	for _, l := range loads {
		l.end()
		durable += l.durable
	}
	if durable == 0 {
		t.Fatal("nothing was granted durably")
	}
	replica.Promote(t)
	b, a := share(t, open(t, redis.Options{Addr: replica.Addr}), 9, of(9, 0, 0, 0))
	if a.Sum < durable || !b.Fenced {
		t.Errorf("the replica knows %d units, fenced %v; want at least %d that were durable, fenced", a.Sum, b.Fenced, durable)
	}
}

// TestIsolatedPrimary cuts a primary off from its replica: what it grants from then on is not durable.
func TestIsolatedPrimary(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name          string
		isolate, join func(replica *redistest.Server)
	}{
		{"hangs", (*redistest.Server).Hang, (*redistest.Server).Resume},
		{"is gone", (*redistest.Server).Kill, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			primary := redistest.Start(t, redistest.Options{})
			replica := redistest.Start(t, redistest.Options{Of: primary})
			primary.AwaitReplicas(t, 1)
			s := open(t, redis.Options{Addr: primary.Addr})
			epoch := awaitGrants(t, s)
			var register int64
			for seq := range uint64(3) {
				b, a := share(t, s, 1, of(9, seq+1, register, 3))
				if register += a.Granted; !b.Durable || a.Granted != 3 {
					t.Errorf("answered %+v, want a durable grant", b)
				}
			}
			test.isolate(replica)
			for seq := range uint64(3) {
				b, err := try(t, s, 1, of(9, seq+10, register, 3), 300*time.Millisecond)
				if err != nil {
					t.Errorf("cut off: %v", err)
				} else if b.Durable || b.Epoch != epoch || b.Assertions[0].Granted != 3 {
					t.Errorf("cut off: answered %+v, want a grant that is not durable, in epoch %d", b, epoch)
				}
			}
			if b, _ := share(t, s, 1, of(9, 20, register, 0)); !b.Durable {
				t.Error("nothing was granted, and that is not durable")
			}
			if test.join == nil {
				return
			}
			test.join(replica)
			realserver.Until(t, 10*time.Second, "grants are durable again", func() bool {
				b, err := try(t, s, 1, of(9, uint64(time.Now().UnixMicro()), register, 3), time.Second)
				return err == nil && b.Durable && b.Assertions[0].Granted == 3
			})
		})
	}
}

// TestReplicaComes gives a primary that had none a replica. That begins an epoch, since
// the server then takes another replication id; from then on grants must be known to it.
func TestReplicaComes(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t, redistest.Options{})
	s := open(t, redis.Options{Addr: primary.Addr})
	before := awaitGrants(t, s)
	if b, a := share(t, s, 1, of(9, 1, 0, 3)); !b.Durable || a.Granted != 3 {
		t.Errorf("without a replica: answered %+v, want a durable grant", b)
	}
	replica := redistest.Start(t, redistest.Options{Of: primary})
	primary.AwaitReplicas(t, 1)
	if b, a := share(t, s, 1, of(9, 2, 3, 3)); a.Granted != 0 || b.Epoch == before || a.Sum != 3 {
		t.Errorf("with a replica: answered %+v, want another epoch than %d", b, before)
	}
	awaitGrants(t, s)
	// One that does not know yet that there is a replica learns it by the answer.
	for i, s := range []*redis.Store{s, open(t, redis.Options{Addr: primary.Addr})} {
		if b, a := share(t, s, 1, of(9, uint64(i)+3, 3, 3)); !b.Durable || a.Granted != 3 {
			t.Errorf("with a replica: answered %+v, want a durable grant", b)
		}
	}
	if n := primary.Info("cmdstat_wait"); !strings.HasPrefix(n, "calls=2,") {
		t.Errorf("WAIT: %s, want two calls", n)
	}
	replica.Kill()
	seq := uint64(10)
	realserver.Until(t, 5*time.Second, "grants are not durable", func() bool {
		seq++
		b, a := share(t, s, 1, of(9, seq, 3, 3))
		return !b.Durable && a.Granted == 3
	})
}

// TestFollow has Sentinels name another primary, while the old one still answers and does not know.
func TestFollow(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	s := f.open(t)
	before, _ := share(t, s, 1, of(1, 1, 5, 0))
	// The Sentinels' failover makes the old primary a replica in the end; it does not matter who tells first.
	if _, err := redistest.Ask(f.sentinels.Addresses[0], "SENTINEL", "FAILOVER", redistest.Master); err != nil {
		t.Fatal(err)
	}
	realserver.Until(t, 20*time.Second, "the store follows", func() bool {
		b, err := try(t, s, 1, of(1, 0, 0, 0), 300*time.Millisecond)
		return err == nil && b.Epoch != before.Epoch
	})
	if at := f.replica.Info("role"); at != "master" {
		t.Errorf("the former replica is a %s", at)
	}
}

// TestFollowAway has a Sentinel name another primary, while the old one still answers
// and takes itself for one.
func TestFollowAway(t *testing.T) {
	t.Parallel()
	first, second := redistest.Start(t, redistest.Options{}), redistest.Start(t, redistest.Options{})
	var at atomic.Pointer[redistest.Server]
	at.Store(first)
	sentinel := startServer(t, func() string {
		return fmt.Sprintf("*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%s\r\n", len(at.Load().Port()), at.Load().Port())
	}, false)
	s := open(t, redis.Options{SentinelMaster: redistest.Master, SentinelAddresses: []string{sentinel}})
	run(t, s)
	before, _ := share(t, s, 1, of(1, 1, 5, 0))
	at.Store(second)
	realserver.Until(t, 5*time.Second, "the store follows", func() bool {
		b, err := try(t, s, 1, of(1, 0, 0, 0), time.Second)
		return err == nil && b.Epoch != before.Epoch
	})
}

// TestSentinelsAway asks Sentinels of which some or all are no help.
func TestSentinelsAway(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	one := redistest.StartSentinels(t, 1, 0, server).Addresses[0]
	hangs := startLiar(t, "", false)
	for _, test := range []struct {
		name      string
		sentinels []string
		want      string // empty: there is no error
	}{
		{"one of three", []string{"127.0.0.1:1", hangs, one}, ""},
		{"none listens", []string{"127.0.0.1:1", "127.0.0.1:2"}, "connection refused"},
		{"none answers", []string{hangs}, "no answer in time"},
		{"a short answer", []string{startLiar(t, "*1\r\n$1\r\na\r\n", false)}, "no Redis or Valkey"},
		{"an answer that is none", []string{startLiar(t, "*2\r\n$1\r\na\r\n$1\r\nb\r\n", false)}, "no Redis or Valkey"},
		{"no name", []string{startLiar(t, "*-1\r\n", false)}, "knows no primary"},
		{"an error", []string{startLiar(t, "-IDONTKNOW ask another\r\n", false)}, "IDONTKNOW"},
		{"a number", []string{startLiar(t, ":1\r\n", false)}, "sentinel"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := open(t, redis.Options{SentinelMaster: redistest.Master, SentinelAddresses: test.sentinels, DialTimeout: 300 * time.Millisecond})
			_, err := try(t, s, 1, of(1, 1, 1, 0), time.Second)
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantError(t, err, test.want)
		})
	}
}

// TestCheckSentinels looks at Sentinels of which some are no help.
func TestCheckSentinels(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	one := redistest.StartSentinels(t, 1, 0, server).Addresses[0]
	s := open(t, redis.Options{SentinelMaster: redistest.Master, SentinelAddresses: []string{one, "127.0.0.1:1"}})
	found := s.Check(context.Background())
	for _, want := range []redis.Finding{
		{Level: redis.Warning, Text: "sentinel 127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused"},
		{Level: redis.OK, Text: `Sentinel: "mymaster" is at ` + server.Addr},
		{Level: redis.Warning, Text: "2 Sentinels are named"},
		{Level: redis.OK, Text: "counters can be shared"},
	} {
		if !slices.ContainsFunc(found, func(f redis.Finding) bool { return f.Level == want.Level && f.Text == want.Text }) {
			t.Errorf("found %+v, want %+v among it", found, want)
		}
	}
}
