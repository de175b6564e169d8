package cluster

import (
	"fmt"
	"net"
	"testing"
)

// TestPorts gives no port twice and none that somebody has, and ends when there is none.
func TestPorts(t *testing.T) {
	p := newPorts()
	taken, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", firstPort+(p.first+1)%manyPorts))
	if err != nil {
		t.Skipf("somebody else has a port: %v", err)
	}
	defer taken.Close()
	seen := map[int]bool{taken.Addr().(*net.TCPAddr).Port: true}
	for range 3 {
		all, err := p.free(5)
		if err != nil || len(all) != 5 {
			t.Fatalf("got %v %v", all, err)
		}
		for _, n := range all {
			if seen[n] || n < firstPort || n >= firstPort+manyPorts {
				t.Errorf("got port %d", n)
			}
			seen[n] = true
		}
	}
	p.given = manyPorts
	if all, err := p.free(1); err == nil {
		t.Errorf("got %v of no ports", all)
	}
}
