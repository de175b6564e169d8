//go:build !unix

package socket

import "syscall"

// canPeek tells whether this system can look without reading.
const canPeek = false

// peek is never called here. A connection that is no longer good is found out by
// using it.
func peek(uintptr, []byte) (int, error) { return 0, syscall.EAGAIN }
