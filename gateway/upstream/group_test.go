package upstream

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func newGroup(t *testing.T, failover bool, hosts ...string) (*Registry, *Group) {
	t.Helper()
	r := &Registry{}
	for i := range hosts {
		hosts[i] = "http://" + hosts[i]
	}
	g, err := r.Group(hosts, failover)
	if err != nil {
		t.Fatal(err)
	}
	return r, g
}

// pickAll returns the hosts that one call would try if each failed it.
func pickAll(g *Group, now time.Time) string {
	var tried Tried
	var all []string
	for x := g.Pick(now, &tried); x != nil; x = g.Pick(now, &tried) {
		all = append(all, x.Authority)
	}
	return strings.Join(all, " ")
}

func TestPick(t *testing.T) {
	now := time.Unix(1000, 0)
	_, spread := newGroup(t, false, "a", "b", "c")
	for i, want := range []string{"a b c", "b c a", "c a b", "a b c"} {
		if got := pickAll(spread, now); got != want {
			t.Errorf("spread, call %d: got %s, want %s", i, got, want)
		}
	}
	_, order := newGroup(t, true, "a", "b", "c")
	for i := range 3 {
		if got := pickAll(order, now); got != "a b c" {
			t.Errorf("in order, call %d: got %s, want a b c", i, got)
		}
	}
	_, none := newGroup(t, true, "a")
	none.targets = nil
	if got := pickAll(none, now); got != "" {
		t.Errorf("none: got %s", got)
	}
}

// Targets that failed come last, and at most one of them is tried by a call.
func TestPickAvoidsTheFailed(t *testing.T) {
	now := time.Unix(1000, 0)
	_, g := newGroup(t, true, "a", "b", "c")
	a, b, c := g.targets[0], g.targets[1], g.targets[2]
	a.Failed(now)
	if got := pickAll(g, now); got != "b c a" {
		t.Errorf("a failed: got %s, want b c a", got)
	}
	b.Failed(now.Add(10 * time.Millisecond))
	b.health.until = now.Add(time.Hour)
	if got := pickAll(g, now); got != "c a" {
		t.Errorf("a and b failed: got %s, want c a", got)
	}
	c.Failed(now)
	c.health.until = now.Add(time.Minute)
	if got := pickAll(g, now); got != "a" {
		t.Errorf("all failed: got %s, want a, whose time comes first", got)
	}
	later := a.retryAt()
	if got := pickAll(g, later); got != "a c" {
		t.Errorf("a's time is over: got %s, want a c", got)
	}
	if got := pickAll(g, later); got != "a" {
		t.Errorf("a is being tried: got %s, want a, for want of better", got)
	}
	a.Succeeded()
	if got := pickAll(g, now); got != "a c" {
		t.Errorf("a answered: got %s, want a c", got)
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	now := time.Unix(1000, 0)
	_, g := newGroup(t, false, "a", "b")
	if n := testing.AllocsPerRun(100, func() {
		var tried Tried
		g.Pick(now, &tried).Succeeded()
	}); n > 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// Groups of one registry share targets: of the same URL, however it is written,
// there is one.
func TestTargetsAreShared(t *testing.T) {
	r, g := newGroup(t, false, "a/x", "b")
	h, err := r.Group([]string{"http://A:80/x/", "https://a/x"}, true)
	if err != nil {
		t.Fatal(err)
	}
	if g.targets[0] != h.targets[0] {
		t.Error("the same URL has two targets")
	}
	if h.targets[1] == h.targets[0] {
		t.Error("two URLs have one target")
	}
}

func TestGroupFaults(t *testing.T) {
	r := &Registry{}
	many := make([]string, 64)
	for i := range many {
		many[i] = fmt.Sprintf("http://h%d", i)
	}
	for _, c := range []struct {
		urls []string
		want string
	}{
		{nil, "no backend URL"}, {many, "at most 63"}, {[]string{"http://a", "gopher://b"}, `"gopher://b"`},
	} {
		if _, err := r.Group(c.urls, false); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d URLs: got %v, want an error with %s", len(c.urls), err, c.want)
		}
	}
}

func TestOptions(t *testing.T) {
	r := &Registry{}
	if o := r.Options(); o.ConnectTimeout != 2*time.Second || o.ResponseTimeout != 30*time.Second || o.MaxIdle != 256 {
		t.Errorf("defaults: got %+v", o)
	}
	for _, o := range []Options{{ConnectTimeout: -1}, {ResponseTimeout: -1}, {IdleTimeout: -1}, {KeepAlive: -1}, {MaxBackoff: -1}, {MaxIdle: -1}} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), "negative") {
			t.Errorf("%+v: got %v", o, err)
		}
	}
	r, err := New(Options{TLS: &tls.Config{MinVersion: tls.VersionTLS10, ServerName: "x"}})
	if err != nil {
		t.Fatal(err)
	}
	if c := r.TLSConfig(); c.MinVersion != tls.VersionTLS12 || c.ServerName != "x" {
		t.Errorf("got version %x, name %s", c.MinVersion, c.ServerName)
	}
}

func TestLoadCAs(t *testing.T) {
	if _, err := LoadCAs(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("a missing file: no error")
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadCAs(file); err == nil || !strings.Contains(err.Error(), "no PEM certificate") {
		t.Errorf("got %v", err)
	}
}

// A denied network is not reached, whatever name leads there.
func TestDeny(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r, err := New(Options{Deny: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}})
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]"} {
		if nc, err := r.DialContext(context.Background(), "tcp", host+":"+port); err == nil {
			nc.Close()
			t.Errorf("%s was reached", host)
		}
	}
}

// Groups, targets and their connections are used by many at a time, while health
// changes and definitions are replaced.
func TestConcurrentUse(t *testing.T) {
	r := &Registry{}
	var users sync.WaitGroup
	for n := range 8 {
		users.Go(func() {
			for i := range 200 {
				g, err := r.Group([]string{"http://a", fmt.Sprintf("http://b%d", i%5), "http://c"}, n%2 == 0)
				if err != nil {
					t.Error(err)
					return
				}
				now := time.Unix(1000+int64(i), 0)
				var tried Tried
				seen := map[*Target]bool{}
				for x := g.Pick(now, &tried); x != nil; x = g.Pick(now, &tried) {
					if seen[x] {
						t.Errorf("%s was picked twice for one call", x.Host)
					}
					seen[x] = true
					if (i+n)%3 == 0 {
						x.Failed(now)
					} else {
						x.Succeeded()
					}
				}
				if len(seen) == 0 {
					t.Error("no target at all")
				}
			}
		})
	}
	users.Wait()
	if n := len(r.targets); n != 7 {
		t.Errorf("%d targets, want 7", n)
	}
}

// A target made by hand has the defaults.
func TestTargetByHand(t *testing.T) {
	x := &Target{Scheme: "http", Host: "a:80"}
	now := time.Unix(1000, 0)
	x.Failed(now)
	if !x.Down() || x.available(now) || x.Options().ConnectTimeout != 2*time.Second {
		t.Errorf("got down %v, options %+v", x.Down(), x.Options())
	}
	if !x.available(now.Add(time.Minute)) {
		t.Error("never available again")
	}
}
