package main

import (
	"syscall"
	"time"
)

// sleep sleeps for d, to some 60 µs. The runtime's own timers wait for a millisecond at least
// where nothing else is to be done; this one takes a thread.
func sleep(d time.Duration) {
	if d > 0 {
		ts := syscall.NsecToTimespec(int64(d))
		_ = syscall.Nanosleep(&ts, nil) // if a signal ends it, that arrives too early
	}
}
