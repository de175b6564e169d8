//go:build unix

package socket

import "syscall"

// canPeek tells whether this system can look without reading.
const canPeek = true

// peek copies what waits on the socket into b and leaves it there. It returns
// EAGAIN if nothing waits; the sockets of the net package never block.
func peek(fd uintptr, b []byte) (int, error) {
	n, _, err := syscall.Recvfrom(int(fd), b, syscall.MSG_PEEK)
	return n, err
}
