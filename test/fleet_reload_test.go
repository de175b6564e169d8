package test

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestFleetReload raises a limit that is spent, at the traffic manager alone: its keys
// are free at once, and as many more pass as it was raised by. Lowered, it frees none.
func TestFleetReload(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		args  []string
		again func(*managerProcess)
	}{
		{"SIGHUP", nil, func(m *managerProcess) { m.signal(syscall.SIGHUP) }},
		{"watch", []string{"--watch"}, func(*managerProcess) {}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, 10)
			tm := f.manager("", test.args...)
			conf := tm.throttlingConfig("")
			gateways := []*gatewayProcess{f.micro(conf), f.micro(conf), f.micro(conf)}
			f.holds(t, []*managerProcess{tm}, gateways)

			f.limit(15)
			test.again(tm)
			awaitReloads(t, tm, "applied", 1)
			began := time.Now()
			awaitHeard(t, 2, gateways...)
			within(t, began, time.Second, "to free the keys of a limit that was raised")
			f.passSlowly(t, 10, 5, []*managerProcess{tm}, gateways...)
			awaitHeard(t, 3, gateways...)
			f.refuse(t, gateways...)

			f.limit(5)
			test.again(tm)
			awaitReloads(t, tm, "applied", 2)
			f.awaitAnswered(t, gateways...)
			f.refuse(t, gateways...)
		})
	}
}

// awaitReloads returns once the traffic manager has had so many reloads of a result.
func awaitReloads(t testing.TB, m *managerProcess, result string, n float64) {
	t.Helper()
	until(t, "the artifact to be "+result, func() bool {
		return readMetrics(t, m.management).value(t, "weir_traffic_manager_reloads_total", `result="`+result+`"`) == n
	})
}

// TestFleetBadReload gives the traffic manager artifacts that are broken: it counts
// and decides on as before, and says so in one line each.
func TestFleetBadReload(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 10)
	other := f.with("mall")
	tm := f.manager("")
	gateways := []*gatewayProcess{f.micro(tm.throttlingConfig("")), f.micro(tm.throttlingConfig(""))}
	f.holds(t, []*managerProcess{tm}, gateways)
	other.passSlowly(t, 0, 4, []*managerProcess{tm}, gateways...)
	good, err := os.ReadFile(f.artifact())
	if err != nil {
		t.Fatal(err)
	}
	for i, bad := range [][]byte{{}, good[:len(good)/2], []byte("not an artifact\n")} {
		replace(t, f.artifact(), bad)
		mark := len(tm.stderr.String())
		tm.signal(syscall.SIGHUP)
		awaitReloads(t, tm, "refused", float64(i+1))
		oneRefusal(t, tm.stderr.lines(mark))
	}
	f.refuse(t, gateways...)
	other.passSlowly(t, 4, 6, []*managerProcess{tm}, gateways...)
	awaitHeard(t, 2, gateways...)
	other.refuse(t, gateways...)
}

// TestFleetRaisedByRestart raises a limit while the traffic manager is away: what its
// last run decided holds no longer.
func TestFleetRaisedByRestart(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 10)
	tm := f.manager("")
	conf := tm.throttlingConfig("")
	gateways := []*gatewayProcess{f.micro(conf), f.micro(conf), f.micro(conf)}
	f.holds(t, []*managerProcess{tm}, gateways)
	tm.kill()
	f.limit(13)
	tm.start()
	began := time.Now()
	calls := f.load(t, 200*time.Millisecond, gateways...)
	until(t, "three more to pass", func() bool { return calls.passed.Load() >= 3 })
	// Until then it holds: others may still have to say what they had counted.
	within(t, began, 3*recovery, "to free the keys of a limit that was raised")
	until(t, "all gateways to refuse", calls.refusing)
	if n := calls.stop(); n > 10 {
		t.Errorf("%d more passed, want 3 or a little more", n)
	}
	if strings.Contains(tm.stderr.String(), "level=ERROR") {
		t.Errorf("the log has an error:\n%s", tm.stderr.String())
	}
}
