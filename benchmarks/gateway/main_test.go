package main

import (
	"log"
	"os"
	"runtime"
	"testing"
	"time"
)

// TestMain lets the test binary be the reverse proxy, as the program itself is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "reverseproxy" {
		log.Fatal(serveReverseProxy(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// The program measures something for every system that needs nothing installed.
func TestRun(t *testing.T) {
	if runtime.NumCPU() < 2 {
		t.Skip("one core: there would be nothing to keep apart")
	}
	t.Chdir("..") // the program is run from the module's root
	if err := run(1, 200*time.Millisecond, 8, "weir,net/http", ""); err != nil {
		t.Fatal(err)
	}
}
