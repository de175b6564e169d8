package test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/weir-project/weir/broker/brokertest"
)

// server is the program under test, with the race detector where the tests have
// it; plain is the same without, for commands that do their work and end: it
// starts in a fraction of the time.
var server, plain string

func TestMain(m *testing.M) {
	if brokertest.Child() {
		return // it was a broker, started by one of the tests
	}
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		// Most of the tests wait most of the time, for windows and time-outs to end.
		_ = f.Value.Set("4") // it is a number
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "weir-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	server = filepath.Join(dir, "weir")
	if err := build(server); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	plain = server
	if raced {
		server = filepath.Join(dir, "weir-race")
		if err := build(server, "-race"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

// build builds the binary.
func build(to string, flags ...string) error {
	args := append([]string{"build", "-o", to}, flags...)
	out, err := exec.Command("go", append(args, "github.com/weir-project/weir/cmd/weir")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("build the binary: %w\n%s", err, out)
	}
	return nil
}
