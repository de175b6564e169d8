//go:build unix

package cluster

import "syscall"

// Pause stops the process where it is: its connections stay, and nothing answers.
func (p *Process) Pause() error { return p.signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (p *Process) Resume() error { return p.signal(syscall.SIGCONT) }
