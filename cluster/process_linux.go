package cluster

import "syscall"

// attributes are those of processes that get no ^C of the terminal's, and end when
// this program dies without having stopped them.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
