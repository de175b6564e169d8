package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir/cluster"
	"github.com/weir-project/weir/load"
)

// The whole of it for two seconds: limits hold over all gateways, and nothing is
// left behind. Alone, each gateway lets as many through.
func TestFleet(t *testing.T) { holdsTogether(t, brokerNATS) }

// TestFleetOverAMQP is the same with RabbitMQ, which takes seconds to start.
func TestFleetOverAMQP(t *testing.T) {
	if testing.Short() {
		t.Skip("RabbitMQ takes long")
	}
	if _, err := exec.LookPath("rabbitmq-server"); err != nil {
		t.Skip("rabbitmq-server is missing")
	}
	holdsTogether(t, brokerAMQP)
}

func holdsTogether(t *testing.T, broker string) {
	t.Chdir("..") // the program is run from the module's root
	t.Setenv("TMPDIR", t.TempDir())
	o := fleetOptions{weir: filepath.Join(t.TempDir(), "weir"), broker: broker, gateways: 3, managers: 2}
	if err := build(o.weir); err != nil {
		t.Fatal(err)
	}
	for _, alone := range []bool{false, true} {
		o.alone = alone
		// A window that does not end during the test.
		l := &limit{Limit: cluster.Limit{Name: "Ten", Count: 10, Per: 24 * time.Hour}, rate: 60}
		f, err := startFleet(t.Context(), o, []*limit{l})
		if err != nil {
			t.Fatal(err)
		}
		results, err := f.drive(t.Context(), []*limit{l}, load.Options{Duration: 2 * time.Second})
		if err != nil {
			t.Error(err)
		}
		pids := f.pids()
		if err := f.stop(); err != nil {
			t.Error(err)
		}
		for _, pid := range pids {
			if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err == nil {
				t.Errorf("process %d is left", pid)
			}
		}
		admitted := results[0].Total.Admitted
		if !alone && (admitted < 10 || admitted > 20) { // how exact it is, 'accuracy' measures on a quiet machine
			t.Errorf("%d admitted of a limit of 10", admitted)
		}
		if alone && admitted != 30 {
			t.Errorf("%d admitted by three gateways with a limit of 10 each", admitted)
		}
	}
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "weir-*"))
	if err != nil || left != nil {
		t.Errorf("folders are left: %q %v", left, err)
	}
}

// pids returns the ids of the processes that are running.
func (f *fleet) pids() (ids []int) {
	for _, n := range append(append([]*cluster.Node(nil), f.Managers...), f.Gateways...) {
		ids = append(ids, n.PID())
	}
	if f.Broker != nil {
		ids = append(ids, f.Broker.PID())
	}
	return ids
}

func TestSpending(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(ms int, gateway int, admitted bool) sighting {
		sent := start.Add(time.Duration(ms) * time.Millisecond)
		return sighting{sent, sent.Add(time.Millisecond), gateway, admitted}
	}
	calls := []sighting{
		at(10, 0, true), at(20, 1, true), at(30, 0, true), // a limit of three is spent at 30
		at(40, 1, true), at(45, 0, false), at(50, 1, false), at(55, 0, false),
	}
	slices.Reverse(calls)
	got, ok := spendingOf(calls, 3, 2)
	if !ok || got.over != 1 || !slices.Equal(got.delays, []time.Duration{16 * time.Millisecond, 21 * time.Millisecond}) {
		t.Errorf("got %+v %v, want 16 and 21 ms, and one over", got, ok)
	}
	if _, ok := spendingOf(calls, 3, 3); ok {
		t.Error("the third gateway never refused")
	}
	if _, ok := spendingOf(calls, 5, 2); ok {
		t.Error("the limit was not spent")
	}
}

func TestInaccuracy(t *testing.T) {
	l := &limit{Limit: cluster.Limit{Name: "x", Count: 100, Per: time.Minute}, rate: 3}
	r := &load.Result{
		Total: load.Count{Failed: 2, Other: 1}, Due: 1000, Late: 11,
		Windows: []load.Window{
			{Count: load.Count{Admitted: 500}}, // a part
			{Whole: true, Count: load.Count{Admitted: 103, Refused: 5}},
			{Whole: true, Count: load.Count{Admitted: 98, Refused: 5}},
		},
	}
	a := inaccuracyOf(l, r)
	want := inaccuracy{windows: 2, admitted: 100.5, over: 1.5, worstOver: 3, under: 1, worstUnder: 2, errors: 3}
	if a != want {
		t.Errorf("got %+v, want %+v", a, want)
	}
	var b strings.Builder
	writeAccuracy(&b, []*limit{l}, []*load.Result{r})
	for _, line := range []string{
		"| 100 per 1m | 3 | 1.8 × | 100.5 | 1.50 % | 3.00 % | 1.00 % | 2.00 % | 3 |\n",
		"11 left more than 10 ms late and 0 never",
	} {
		if !strings.Contains(b.String(), line) {
			t.Errorf("no %q in\n%s", line, b.String())
		}
	}
}

// What the demo prints of each limit: admitted, refused, and by how much it was
// exceeded in its worst window.
func TestWriteDemo(t *testing.T) {
	l := &limit{Limit: cluster.Limit{Name: "Ten", Count: 10, Per: time.Minute}, rate: 60}
	r := &load.Result{Total: load.Count{Admitted: 23, Refused: 97, Failed: 1}, Windows: []load.Window{
		{Whole: true, Count: load.Count{Admitted: 10, Refused: 50}},
		{Whole: true, Count: load.Count{Admitted: 13, Refused: 47, Failed: 1}},
	}}
	var b strings.Builder
	if err := writeDemo(&b, []*limit{l}, []*load.Result{r}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	if len(lines) < 2 || strings.TrimRight(lines[0], " ") != lines[0] {
		t.Fatalf("printed %q", b.String())
	}
	want := "application 10 per 1m 121 23 97 1 2 10, 13 3 (30.00 %)"
	if got := strings.Join(strings.Fields(lines[1]), " "); got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}
