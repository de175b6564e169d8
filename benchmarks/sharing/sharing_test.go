package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter"
)

// The program measures something of every system, and what it measures can be. How
// well it is kept on a busy machine says nothing, but that exact limits are never
// exceeded holds on any.
func TestQuick(t *testing.T) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("NOT TESTED: there is no redis-server here (apt-get install redis-server)")
	}
	folders := func() []string {
		all, err := filepath.Glob(filepath.Join(os.TempDir(), "weir-sharing-*"))
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	before := folders()
	out := filepath.Join(t.TempDir(), "figures.json")
	args := []string{"-quick", "-o", out}
	if testing.Short() {
		args = append(args, "-systems", "exact,bounded,eventual,delta,atomic,exact-sliding,exact-bucket")
	}
	s, err := parse(args)
	if err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if n := len(r.Results) + len(r.Outages); n != len(s.jobs()) {
		t.Errorf("%d results, want %d", n, len(s.jobs()))
	}
	for _, one := range r.Results {
		checkResult(t, &one)
	}
	if after := folders(); len(after) > len(before) {
		t.Errorf("folders are left: %q", after)
	}
}

func checkResult(t *testing.T, r *result) {
	t.Helper()
	for i := range r.Rows {
		a := &r.Rows[i]
		name := r.System + " " + place{r.Nodes, a.cell}.String()
		if strings.HasPrefix(r.System, "exact") && a.OverUnits > 0 {
			t.Errorf("%s was exceeded by %d", name, a.OverUnits)
		}
		if a.OverUnits < 0 || a.OverWorst < 0 || a.OverMean < 0 || a.Unused < 0 || a.Worst < a.Unused-1e-9 || a.Waited < 0 || a.Max < 0 {
			t.Errorf("%s: what is negative cannot be: %+v", name, *a)
		}
		if a.Requests == 0 || a.Admitted < 0 || a.Admitted > a.Requests || a.Waited > a.Requests+r.Errors {
			t.Errorf("%s: %d requests, %d admitted, %d waited", name, a.Requests, a.Admitted, a.Waited)
		}
	}
	if r.Errors > 0 {
		t.Errorf("%s: %d requests failed: %s", r.System, r.Errors, r.Fault)
	}
	if r.Calls <= 0 || r.Requests == 0 {
		t.Errorf("%s shared nothing", r.System)
	}
}

// What goes over the slow way arrives later, and whole.
func TestSlowWay(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var echoing sync.WaitGroup
	echoing.Go(func() {
		for c, err := server.Accept(); err == nil; c, err = server.Accept() {
			_, _ = io.Copy(c, c)
			_ = c.Close()
		}
	})
	way, err := newSlowWay(server.Addr().String(), 4*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", way.address())
	if err != nil {
		t.Fatal(err)
	}
	sent, got := bytes.Repeat([]byte("weir"), 50_000), make([]byte, 200_000)
	began := time.Now()
	echoing.Go(func() { _, _ = c.Write(sent) })
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("what came back is not what was sent: %v", err)
	}
	if d := time.Since(began); d < 4*time.Millisecond {
		t.Errorf("it took %v, want 4 ms at least", d)
	}
	if err := errors.Join(c.Close(), way.stop(), server.Close()); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	echoing.Wait()
}

// at returns events at some milliseconds since the Unix epoch, all of which passed.
func at(millis ...int64) (all []event) {
	for _, ms := range millis {
		all = append(all, event{ms * 1e6, true})
	}
	return all
}

// Three in each second, told in rows of literal time.
func TestMeasure(t *testing.T) {
	for _, test := range []struct {
		name      string
		algorithm limiter.Algorithm
		events    []event
		over      int64
		unused    float64 // percent
	}{
		{"just spent", limiter.FixedWindow, at(1000, 1001, 1999, 2000, 2500, 2999), 0, 0},
		{"one over in the second window", limiter.FixedWindow, at(1000, 1001, 1002, 2000, 2001, 2002, 2999), 1, 0},
		{"over in a window that is not whole", limiter.FixedWindow, at(996, 997, 998, 999, 1000, 2000), 1, 0},
		{"refused for nothing", limiter.FixedWindow, append(at(1000, 1001, 1002), event{2000e6, false}, event{2001e6, true}), 0, 100. / 3 / 2},
		{"three in each second", limiter.SlidingWindow, at(1000, 1300, 1600, 2000, 2300, 2600), 0, 0},
		{"four in a second", limiter.SlidingWindow, at(1000, 1300, 1600, 1999), 1, 0},
		{"refused for nothing", limiter.SlidingWindow, append(at(1000, 1300), event{1600e6, false}), 0, 100. / 3},
		{"a full bucket, and what flows in", limiter.TokenBucket, at(1000, 1000, 1000, 1334, 1667, 2000), 0, 0},
		{"one before it flowed in", limiter.TokenBucket, at(1000, 1000, 1000, 1300), 1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &cell{Count: 3, Window: time.Second, Load: 1, Spread: "even", Keys: 1}
			p := pack{1, []cell{*c}}
			s := p.subjects("test", test.algorithm, limiter.Exact)
			s[0].streams[0].events = test.events
			a := measure(s[0].cell, s, time.Unix(1, 0), time.Unix(3, 0), 20*time.Millisecond)
			if a.OverUnits != test.over || a.Unused < test.unused-0.01 || a.Unused > test.unused+0.01 {
				t.Errorf("over by %d, %.2f %% unused; want %d, %.2f %%", a.OverUnits, a.Unused, test.over, test.unused)
			}
		})
	}
}

// What is spread over nodes comes to the whole.
func TestShares(t *testing.T) {
	for _, spread := range []string{"even", "skewed", "one"} {
		for _, n := range []int{1, 3, 10} {
			c, sum := cell{Spread: spread}, 0.
			for node := range n {
				sum += c.share(node, n)
			}
			if sum < 0.999 || sum > 1.001 {
				t.Errorf("%s over %d nodes: %.3f of the requests come", spread, n, sum)
			}
		}
	}
}

func TestParse(t *testing.T) {
	for _, args := range [][]string{
		{"-systems", "exakt"}, {"-nodes", "0"}, {"-limits", "0.5"}, {"-window", "1ms"}, {"-spreads", "odd"}, {"more"}, {"-rtt", "-1ms"},
	} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
	s, err := parse(nil)
	if err != nil {
		t.Fatal(err)
	}
	var seconds float64
	for range s.jobs() {
		seconds += float64(s.windows) + 1.2 // half a window before, and to start and stop
	}
	if seconds > 300 {
		t.Errorf("all of it takes %.0f s, which is more than 5 minutes", seconds)
	}
	if !slices.Equal(s.nodes, []int{1, 3, 10}) {
		t.Errorf("nodes %v", s.nodes)
	}
}
