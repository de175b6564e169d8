// Command gateway measures what one request costs Weir beside nginx with
// limit_req, HAProxy with a stick table, and net/http's ReverseProxy with
// x/time/rate: CPU µs per request at 64 keep-alive connections, forwarded and
// refused, the median of interleaved rounds.
//
// The system under test runs on core 0; this program, which is the clients and
// the backend, on core 1. CPU is user and system time of the whole process tree,
// from /proc, over the round, divided by the requests answered in it.
//
//	go run ./gateway -rounds 5 -length 3s
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) > 1 && os.Args[1] == "reverseproxy" {
		log.Fatal(serveReverseProxy(os.Args[2:]))
	}
	rounds := flag.Int("rounds", 5, "interleaved rounds")
	length := flag.Duration("length", 3*time.Second, "length of a measurement")
	clients := flag.Int("clients", 64, "keep-alive connections")
	only := flag.String("only", "", "comma-separated systems: weir, nginx, haproxy, net/http")
	weir := flag.String("weir", "", "the weir binary; empty builds one")
	flag.Parse()
	if err := run(*rounds, *length, *clients, *only, *weir); err != nil {
		log.Fatal("gateway: ", err)
	}
}

// A measurement is what one round of one system gave.
type measurement struct {
	perSecond float64
	micros    float64 // CPU per request
	rss       float64 // MiB
}

func run(rounds int, length time.Duration, clients int, only, weir string) error {
	dir, err := os.MkdirTemp("", "weir-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := pin(os.Getpid(), 1); err != nil {
		return err
	}
	backend, err := startBackend()
	if err != nil {
		return err
	}
	systems, err := prepare(dir, backend, only, weir)
	if err != nil {
		return err
	}
	results := map[string][]measurement{}
	for round := range rounds {
		for _, s := range systems {
			for _, load := range []string{"forwarded", "refused"} {
				m, err := measure(s, load, length, clients)
				if err != nil {
					return fmt.Errorf("%s %s: %w", s.name, load, err)
				}
				results[s.name+" "+load] = append(results[s.name+" "+load], m)
				log.Printf("round %d  %-9s %-9s %8.0f/s  %6.2f µs  %5.1f MiB", round+1, s.name, load, m.perSecond, m.micros, m.rss)
			}
		}
	}
	report(systems, results)
	return nil
}

// measure starts s afresh, so that no round inherits what another left.
func measure(s system, load string, length time.Duration, clients int) (measurement, error) {
	if s.beside != nil {
		beside, stop, err := start(s.beside, s.quiet)
		if err != nil {
			return measurement{}, err
		}
		defer stop()
		if err := pin(beside, 1); err != nil {
			return measurement{}, err
		}
	}
	process, stop, err := start(s.command, s.quiet)
	if err != nil {
		return measurement{}, err
	}
	defer stop()
	if err := waitFor(s.addr); err != nil {
		return measurement{}, err
	}
	for _, pid := range tree(process) {
		if err := pin(pid, 0); err != nil {
			return measurement{}, err
		}
	}
	request := s.request[load]
	want := map[string]int{"forwarded": 200, "refused": s.refusal}[load]
	if err := drive(s.addr, request, clients, 500*time.Millisecond, 0, nil); err != nil { // warm up
		return measurement{}, err
	}
	before := cpu(process)
	var answered int64
	start := time.Now()
	if err := drive(s.addr, request, clients, length, want, &answered); err != nil {
		return measurement{}, err
	}
	took := time.Since(start).Seconds()
	used := cpu(process) - before
	return measurement{float64(answered) / took, used.Seconds() * 1e6 / float64(answered), rss(process)}, nil
}

// start starts a process; stop ends and awaits it.
func start(command []string, quiet bool) (pid int, stop func(), err error) {
	cmd := exec.Command(command[0], command[1:]...)
	if !quiet {
		cmd.Stderr = os.Stderr
	}
	if err := cmd.Start(); err != nil {
		return 0, nil, err
	}
	return cmd.Process.Pid, func() {
		cmd.Process.Signal(os.Interrupt)
		done := make(chan struct{})
		go func() { cmd.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			cmd.Process.Kill()
			<-done
		}
	}, nil
}

func report(systems []system, results map[string][]measurement) {
	median := func(name string, f func(measurement) float64) float64 {
		var v []float64
		for _, m := range results[name] {
			v = append(v, f(m))
		}
		if len(v) == 0 {
			return 0
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	micros := func(m measurement) float64 { return m.micros }
	fmt.Printf("\n%-10s %12s %12s %12s %12s %8s\n", "", "forwarded/s", "CPU µs", "refused/s", "CPU µs", "RSS MiB")
	for _, s := range systems {
		f, r := s.name+" forwarded", s.name+" refused"
		per := func(m measurement) float64 { return m.perSecond }
		fmt.Printf("%-10s %12.0f %12.2f %12.0f %12.2f %8.1f\n", s.name, median(f, per), median(f, micros),
			median(r, per), median(r, micros), median(f, func(m measurement) float64 { return m.rss }))
	}
	fmt.Println()
	for _, other := range systems {
		if other.name == "weir" {
			continue
		}
		ratio := func(load string) float64 {
			return median("weir "+load, micros) / median(other.name+" "+load, micros)
		}
		fmt.Printf("weir / %-9s forwarded %.2f  refused %.2f\n", other.name, ratio("forwarded"), ratio("refused"))
	}
}

// pin binds all threads of pid to one core.
func pin(pid, core int) error {
	out, err := exec.Command("taskset", "-a", "-cp", strconv.Itoa(core), strconv.Itoa(pid)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("taskset %d: %s: %w", pid, out, err)
	}
	return nil
}

// tree returns pid and its descendants.
func tree(pid int) []int {
	pids := []int{pid}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, t := range tasks {
		b, _ := os.ReadFile(t)
		for f := range strings.FieldsSeq(string(b)) {
			if child, err := strconv.Atoi(f); err == nil {
				pids = append(pids, tree(child)...)
			}
		}
	}
	return pids
}

// cpu returns the processor time that pid and its descendants have used.
func cpu(pid int) time.Duration {
	var total time.Duration
	for _, p := range tree(pid) {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p))
		for _, t := range tasks {
			b, _ := os.ReadFile(t)
			if f := strings.Fields(string(b)); len(f) > 0 {
				n, _ := strconv.ParseInt(f[0], 10, 64)
				total += time.Duration(n)
			}
		}
	}
	return total
}

// rss returns the resident memory of pid and its descendants in MiB.
func rss(pid int) float64 {
	var kib float64
	for _, p := range tree(pid) {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p))
		for line := range strings.Lines(string(b)) {
			if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
				n, _ := strconv.ParseFloat(strings.Fields(v)[0], 64)
				kib += n
			}
		}
	}
	return kib / 1024
}

// waitFor returns once addr takes connections.
func waitFor(addr string) error {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", addr); err == nil {
			return c.Close()
		}
	}
	return fmt.Errorf("%s takes no connections", addr)
}
