package cluster

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// The ports that processes get. They are below those that systems give to
// connections: one of these could else take a port before the process it is for
// listens there, or while that is to be started again.
const (
	firstPort = 20_000
	manyPorts = 12_000
)

// ports hands out ports of loopback that nobody has, none twice: the next ones from a
// first, taken at random so that clusters don't meet.
type ports struct{ first, given int }

func newPorts() ports { return ports{first: rand.IntN(manyPorts)} }

// free returns n ports.
func (p *ports) free(n int) ([]int, error) {
	var all []int
	for len(all) < n {
		if p.given == manyPorts {
			return nil, fmt.Errorf("no port from %d to %d is left", firstPort, firstPort+manyPorts-1)
		}
		port := firstPort + (p.first+p.given)%manyPorts
		p.given++
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue // somebody has it
		}
		_ = l.Close() // nobody has used it
		all = append(all, port)
	}
	return all, nil
}
