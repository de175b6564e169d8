package redis_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/limiter/redis"
	"github.com/weir-project/weir/limiter/redis/redistest"
	"github.com/weir-project/weir/test/realserver"
)

// connections returns the ids of the connections with a name.
func connections(t testing.TB, s *redistest.Server, name string) (ids []string) {
	t.Helper()
	for line := range strings.Lines(fmt.Sprint(s.Do(t, "CLIENT", "LIST"))) {
		if strings.Contains(line, " name="+name+" ") {
			id, _, _ := strings.Cut(line, " ")
			ids = append(ids, id)
		}
	}
	return ids
}

// atOnce has n calls be under way at once, so that there are n connections, while the server hangs.
func atOnce(t testing.TB, server *redistest.Server, s *redis.Store, n int, within time.Duration) (errs []error) {
	t.Helper()
	server.Hang()
	var all sync.WaitGroup
	result := make(chan error, n)
	for i := range n {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), within)
			defer cancel()
			result <- s.Share(ctx, &limiter.Batch{Node: uint64(i + 1)})
		})
	}
	time.Sleep(within / 4) // all have begun; if not, there are less connections
	server.Resume()
	all.Wait()
	close(result)
	for err := range result {
		errs = append(errs, err)
	}
	return errs
}

func TestPoolExhausted(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	for _, test := range []struct {
		name string
		wait time.Duration
		took [2]time.Duration
	}{
		{"waits for as long as there is", 0, [2]time.Duration{250 * time.Millisecond, time.Second}},
		{"waits for some time", 50 * time.Millisecond, [2]time.Duration{40 * time.Millisecond, 250 * time.Millisecond}},
		{"does not wait", -1, [2]time.Duration{0, 40 * time.Millisecond}},
	} {
		s := open(t, redis.Options{Addr: server.Addr, PoolSize: 1, PoolWait: test.wait})
		share(t, s, 1, of(1, 1, 1, 0))
		server.Hang()
		hangs := make(chan struct{})
		go func() {
			defer close(hangs)
			_, _ = try(t, s, 1, of(2, 1, 1, 0), 600*time.Millisecond) // which has the connection
		}()
		time.Sleep(100 * time.Millisecond) // it has
		began := time.Now()
		_, err := try(t, s, 1, of(3, 1, 1, 0), 300*time.Millisecond)
		took := time.Since(began)
		server.Resume()
		<-hangs
		if err == nil {
			t.Errorf("%s: there was no error", test.name)
		} else if test.wait != 0 && !strings.Contains(err.Error(), "all connections are taken") {
			t.Errorf("%s: got error %v", test.name, err)
		}
		if took < test.took[0] || took > test.took[1] {
			t.Errorf("%s: it took %v, want from %v to %v", test.name, took, test.took[0], test.took[1])
		}
		realserver.Until(t, 5*time.Second, "the store works again", func() bool {
			_, err := try(t, s, 1, of(3, 2, 1, 0), time.Second)
			return err == nil
		})
	}
}

func TestPoolSizes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	s := open(t, redis.Options{Addr: server.Addr, ClientName: "sizes", PoolSize: 4, MaxIdle: 2})
	if n := len(connections(t, server, "sizes")); n > 0 {
		t.Errorf("%d connections before anything was shared", n)
	}
	realserver.Until(t, 20*time.Second, "two connections are kept, or three if two calls ended at once", func() bool {
		for _, err := range atOnce(t, server, s, 8, 2*time.Second) {
			if err != nil {
				t.Error(err)
			}
		}
		time.Sleep(50 * time.Millisecond) // the server sees what was closed
		n := len(connections(t, server, "sizes"))
		return n == 2 || n == 3 // less if the machine was busy
	})

	s = open(t, redis.Options{Addr: server.Addr, PoolSize: 4, MinIdle: 3})
	before := server.Info("connected_clients")
	share(t, s, 1, of(1, 1, 1, 0))
	realserver.Until(t, 5*time.Second, "three more connections are ready", func() bool {
		var m, n int
		_, _ = fmt.Sscan(before, &m)
		_, _ = fmt.Sscan(server.Info("connected_clients"), &n)
		return n >= m+3
	})
}

// TestIdleTime has a store make many connections and then use few.
func TestIdleTime(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	for _, test := range []bool{false, true} {
		name := fmt.Sprintf("idle-%v", test)
		s := open(t, redis.Options{
			Addr: server.Addr, ClientName: name, PoolSize: 5, IdleTime: 300 * time.Millisecond, IdleCheck: 50 * time.Millisecond, TestWhileIdle: test,
		})
		run(t, s)
		atOnce(t, server, s, 5, 2*time.Second)
		if n := len(connections(t, server, name)); n < 2 {
			t.Errorf("%d connections, want 5", n)
		}
		pings := server.Info("cmdstat_ping")
		realserver.Until(t, 5*time.Second, "all idle connections are closed", func() bool { return len(connections(t, server, name)) == 0 })
		if now := server.Info("cmdstat_ping"); (now != pings) != test {
			t.Errorf("tested %v: PING was %q and then %q", test, pings, now)
		}
		share(t, s, 1, of(1, 1, 1, 0))
	}
}

// TestIdleTimeUnlooked closes idle connections though nothing runs: when they are taken.
func TestIdleTimeUnlooked(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	s := open(t, redis.Options{Addr: server.Addr, ClientName: "unlooked", IdleTime: 50 * time.Millisecond})
	share(t, s, 1, of(1, 1, 1, 0))
	before := connections(t, server, "unlooked")
	time.Sleep(100 * time.Millisecond) // it is idle
	share(t, s, 1, of(1, 2, 1, 0))
	if after := connections(t, server, "unlooked"); len(after) != 1 || after[0] == before[0] {
		t.Errorf("connections %v and then %v, want another one", before, after)
	}
}

// TestWhileIdle has a server that hangs lose its idle connections, which nobody uses.
func TestWhileIdle(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	s := open(t, redis.Options{Addr: server.Addr, ClientName: "tested", Timeout: time.Second, IdleCheck: 50 * time.Millisecond, TestWhileIdle: true})
	run(t, s)
	share(t, s, 1, of(1, 1, 1, 0))
	before := connections(t, server, "tested")
	server.Hang()
	time.Sleep(1500 * time.Millisecond) // so long it hangs
	server.Resume()
	realserver.Until(t, 5*time.Second, "the connection is closed", func() bool {
		return !slices.Contains(connections(t, server, "tested"), before[0])
	})
}

// TestOnBorrow takes connections of which the server has closed some: with TLS that
// is only seen when they are used.
func TestOnBorrow(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{TLS: true})
	for _, test := range []bool{false, true} {
		name := fmt.Sprintf("borrowed-%v", test)
		s := open(t, redis.Options{Addr: server.Addr, TLS: server.TLS, ClientName: name, PoolSize: 3, TestOnBorrow: test})
		atOnce(t, server, s, 3, 2*time.Second)
		all := connections(t, server, name)
		if len(all) == 0 {
			t.Fatal("there is no connection")
		}
		for _, id := range all {
			server.Do(t, "CLIENT", "KILL", "ID", strings.TrimPrefix(id, "id="))
		}
		if _, err := try(t, s, 1, of(1, 1, 1, 0), 5*time.Second); (err == nil) != test {
			t.Errorf("tested %v: got error %v", test, err)
		}
	}
}

// TestOnReturn counts what is said on a connection.
func TestOnReturn(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	s := open(t, redis.Options{Addr: server.Addr, TestOnReturn: true})
	share(t, s, 1, of(1, 1, 1, 0))
	if stat := server.Info("cmdstat_ping"); !strings.HasPrefix(stat, "calls=1,") {
		t.Errorf("PING: %q, want one call", stat)
	}
}
