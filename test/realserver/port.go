//go:build unix

package realserver

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

// Ports are below those that systems give to connections, and to whoever asks for any: one
// of these could take a port before the server it is for listens there.
const (
	firstPort = 10_000
	manyPorts = 10_000
)

var (
	portsMu sync.Mutex
	ports   = make(map[int]bool) // those that were given out
)

// FreePort returns a port of loopback that nobody listens on, and that was not returned before.
func FreePort(t testing.TB) string {
	t.Helper()
	portsMu.Lock()
	defer portsMu.Unlock()
	for range 1000 {
		port := firstPort + rand.IntN(manyPorts)
		if ports[port] {
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			continue // somebody has it
		}
		_ = l.Close() // only its number was wanted
		ports[port] = true
		return strconv.Itoa(port)
	}
	t.Fatal("no free port was found")
	return ""
}

// FreeAddress returns the address of a [FreePort].
func FreeAddress(t testing.TB) string {
	t.Helper()
	return "127.0.0.1:" + FreePort(t)
}
