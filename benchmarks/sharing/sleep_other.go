//go:build !linux

package main

import "time"

// sleep sleeps for d, as exactly as the runtime does.
func sleep(d time.Duration) { time.Sleep(d) }
