package drill_test

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-project/weir/cli"
	"github.com/weir-project/weir/cluster"
	"github.com/weir-project/weir/drill"
)

// asWeir has the test binary be the command weir.
const asWeir = "WEIR_TEST_BINARY_IS_WEIR"

func TestMain(m *testing.M) {
	if os.Getenv(asWeir) == "" {
		goleak.VerifyTestMain(m)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := cli.Run(ctx, cli.Env{Args: os.Args[1:], Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv})
	stop()
	os.Exit(cli.Exit(os.Stderr, err))
}

// options are those of a drill with the test binary.
func options(t *testing.T) drill.Options {
	t.Helper()
	weir, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(asWeir, "1")
	t.Setenv("TMPDIR", t.TempDir())
	return drill.Options{Weir: weir, BrokerCommand: []string{"drill", "broker"}}
}

// left returns what a drill has left behind.
func left(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(os.TempDir(), "weir-cluster-*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestStoreKill makes a whole drill: the exact limit is never exceeded and no request
// fails, on whatever machine. How soon all is well again depends on that.
func TestStoreKill(t *testing.T) {
	if _, err := cluster.FindServer(); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	o := options(t)
	var mu sync.Mutex
	var steps []string
	o.Progress = func(text string) {
		mu.Lock()
		defer mu.Unlock()
		steps = append(steps, text)
	}
	r, err := drill.Run(t.Context(), "store-kill", o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Drill != "store-kill" || r.Requests < 10_000 || len(r.Events) < 3 || len(r.Measures) < 10 {
		t.Errorf("got %+v", r)
	}
	for _, m := range r.Measures {
		if (strings.HasPrefix(m.What, "exact limit exceeded") || m.What == "requests that failed") && m.Verdict != drill.Held {
			t.Errorf("got %+v", m)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.ContainsFunc(steps, func(s string) bool { return strings.HasSuffix(s, "mended") }) {
		t.Errorf("told %q", steps)
	}
	if found := left(t); found != nil {
		t.Errorf("left behind: %q", found)
	}
}

// TestStopped ends a drill in its middle, when a process is paused: nothing is left.
func TestStopped(t *testing.T) {
	o := options(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.Progress = func(text string) {
		if strings.Contains(text, "stands still") {
			cancel()
		}
	}
	began := time.Now()
	if _, err := drill.Run(ctx, "gateway-pause", o); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("took %v", took)
	}
	if found := left(t); found != nil {
		t.Errorf("left behind: %q", found)
	}
}

func TestRefusals(t *testing.T) {
	if _, err := drill.Run(t.Context(), "store-dance", drill.Options{}); !errors.Is(err, drill.ErrUnknown) || !strings.Contains(err.Error(), "store-hang") {
		t.Errorf("got %v", err)
	}
	for _, d := range drill.List() {
		if !d.OwnStore {
			continue
		}
		if _, err := drill.Run(t.Context(), d.Name, drill.Options{Store: "127.0.0.1:6379"}); err == nil || !strings.Contains(err.Error(), "would harm the store") {
			t.Errorf("%s: got %v", d.Name, err)
		}
	}
}
