package redis

import (
	"net"
	"syscall"
	"time"
)

// A failed is a connection that could not be made. The pool of the client logs such
// errors, tells of old ones, and tries again by itself; so it is given a connection
// with which the caller fails, who learns why, and which nobody takes for a good one
// later.
type failed struct{ err error }

// Write implements net.Conn.
func (f failed) Write([]byte) (int, error) { return 0, &unwrapped{f.err} }

// Read implements net.Conn.
func (f failed) Read([]byte) (int, error) { return 0, &unwrapped{f.err} }

// Close implements net.Conn.
func (f failed) Close() error { return nil }

// LocalAddr implements net.Conn.
func (f failed) LocalAddr() net.Addr { return &net.TCPAddr{} }

// RemoteAddr implements net.Conn.
func (f failed) RemoteAddr() net.Addr { return &net.TCPAddr{} }

// SetDeadline implements net.Conn.
func (f failed) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (f failed) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (f failed) SetWriteDeadline(time.Time) error { return nil }

// SyscallConn implements syscall.Conn, by which the pool finds that it is no good.
func (f failed) SyscallConn() (syscall.RawConn, error) { return nil, f.err }

// An unwrapped error is one of which the client takes off the outermost.
type unwrapped struct{ err error }

// Error implements error.
func (u *unwrapped) Error() string { return u.err.Error() }

// Unwrap returns the error.
func (u *unwrapped) Unwrap() error { return u.err }
