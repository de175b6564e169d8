package test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkStart measures the time from the start of the process to its first
// answer, and the memory that it then has: figures to look at, which no test
// depends on.
func BenchmarkStart(b *testing.B) {
	backend := newBackend(b, "one")
	p := newProject(b, backend.URL, files{"policies.yaml": generous, "api_definitions/pet.yaml": openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}")})
	p.build()
	port, management := freePort(b), freePort(b)
	p.write(files{"conf/micro-gw.conf": configuration(port, -1, management, "")})
	var total time.Duration
	var memory int
	for b.Loop() {
		began := time.Now()
		g := &gatewayProcess{addr: local(port), management: local(management)}
		g.process = start(b, p.home, "gateway", p.artifact())
		c := g.h1(b)
		for {
			if r, err := c.do("GET", "/pet/a", ""); err == nil && r.StatusCode == 200 {
				break
			}
			if g.ended() {
				b.Fatal(g.stderr.String())
			}
		}
		total += time.Since(began)
		memory = memoryOf(b, g.cmd.Process.Pid, "VmRSS")
		g.stop(syscall.SIGTERM)
	}
	b.ReportMetric(float64(total.Milliseconds())/float64(b.N), "ms/first-answer")
	b.ReportMetric(float64(memory)/1024, "MiB-resident")
}

// memoryOf returns a figure of a process's memory in KiB: VmRSS is what it has
// now, VmHWM the most that it had.
func memoryOf(t testing.TB, pid int, figure string) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skipf("there is no /proc: %v", err)
	}
	for line := range strings.Lines(string(text)) {
		var n int
		if _, err := fmt.Sscanf(line, figure+": %d kB", &n); err == nil {
			return n
		}
	}
	return 0
}
