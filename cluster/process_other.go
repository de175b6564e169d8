//go:build unix && !linux

package cluster

import "syscall"

// attributes are those of processes that get no ^C of the terminal's.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
