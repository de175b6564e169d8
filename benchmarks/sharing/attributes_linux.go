package main

import "syscall"

// attributes are those of processes that get no ^C of the terminal's, and are told
// to stop when this program dies without having stopped them: to that end they
// are started by its main thread.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
