package cluster_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-project/weir/cli"
	"github.com/weir-project/weir/cluster"
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

// options are those of a cluster with the test binary, and a folder of its own.
func options(t *testing.T) cluster.Options {
	t.Helper()
	weir, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(asWeir, "1")
	t.Setenv("TMPDIR", t.TempDir())
	return cluster.Options{
		Weir: weir, Gateways: 2, Managers: 1, BrokerCommand: []string{"drill", "broker"},
		Limits: []*cluster.Limit{
			{Name: "App", Level: cluster.Application, Count: 3, Per: time.Hour},
			{Name: "Sub", Level: cluster.Subscription, Count: 4, Per: time.Hour},
			{Name: "Res", Level: cluster.Resource, Count: 5, Per: time.Hour},
			{Name: "Free"},
		},
	}
}

// TestCluster has limits of each level hold as they should, over each kind of broker
// and without traffic managers, and finds nothing that is left.
func TestCluster(t *testing.T) {
	t.Run("InManagers", func(t *testing.T) { holds(t, options(t)) })
	t.Run("Apart", func(t *testing.T) {
		o := options(t)
		o.Broker = cluster.Apart
		holds(t, o)
	})
	t.Run("RabbitMQ", func(t *testing.T) {
		if testing.Short() {
			t.Skip("RabbitMQ takes long")
		}
		if _, err := exec.LookPath("rabbitmq-server"); err != nil {
			t.Skip("NOT TESTED: rabbitmq-server is missing")
		}
		o := options(t)
		o.Broker = cluster.RabbitMQ
		holds(t, o)
	})
	t.Run("Alone", func(t *testing.T) {
		o := options(t)
		o.Managers = 0
		holds(t, o)
	})
}

func holds(t *testing.T, o cluster.Options) {
	t.Helper()
	c, err := cluster.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if (c.Broker != nil) != (o.Broker != cluster.InManagers && o.Managers > 0) {
		t.Errorf("broker apart: %v", c.Broker)
	}
	for _, l := range o.Limits {
		if err := spend(t, c, l, o.Managers > 0); err != nil {
			t.Errorf("%s: %v", l.Name, err)
		}
	}
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
	for _, n := range append(c.Managers, c.Gateways...) {
		if _, err := call(t, n.Management+"/livez", ""); err == nil {
			t.Errorf("%s is left", n.Name)
		}
	}
	if found, err := filepath.Glob(filepath.Join(os.TempDir(), "*")); err != nil || found != nil {
		t.Errorf("left behind: %q %v", found, err)
	}
}

// spend calls the first gateway until the limit is spent, or ten times if there is
// none. Then others must refuse soon if they are told, else let as many pass.
func spend(t *testing.T, c *cluster.Cluster, l *cluster.Limit, told bool) error {
	t.Helper()
	targets := c.Targets(l)
	for i := range 10 {
		want := http.StatusOK
		if l.Count > 0 && int64(i) >= l.Count {
			want = http.StatusTooManyRequests
		}
		if got, err := call(t, targets[0], l.Key); err != nil {
			return err
		} else if got != want {
			return fmt.Errorf("call %d: got %d, want %d", i+1, got, want)
		}
	}
	if l.Count == 0 || !told {
		got, err := call(t, targets[1], l.Key)
		if err == nil && got != http.StatusOK {
			err = fmt.Errorf("at another gateway: got %d", got)
		}
		return err
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		if got, err := call(t, targets[1], l.Key); err != nil || got == http.StatusTooManyRequests {
			return err
		}
	}
	return ctx.Err()
}

func call(t *testing.T, url, key string) (int, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("ApiKey", key)
	r.Close = true
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	return answer.StatusCode, answer.Body.Close()
}

// TestStartFails says why a part could not be made or did not start, once, and leaves
// nothing.
func TestStartFails(t *testing.T) {
	for want, spoil := range map[string]func(o *cluster.Options){
		"weir build: ":           func(o *cluster.Options) { o.Limits[0].Accuracy = "perfect" },
		"broker ended by itself": func(o *cluster.Options) { o.Broker, o.BrokerCommand = cluster.Apart, []string{"no-such-command"} },
	} {
		o := options(t)
		o.Limits = o.Limits[:1]
		spoil(&o)
		_, err := cluster.Start(t.Context(), o)
		if err == nil || strings.Count(err.Error(), want) != 1 {
			t.Errorf("got %v, want %s", err, want)
		}
		if found, err := filepath.Glob(filepath.Join(os.TempDir(), "*")); err != nil || found != nil {
			t.Errorf("left behind: %q %v", found, err)
		}
	}
}
