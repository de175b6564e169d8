//go:build !unix

package cluster

import (
	"errors"
	"syscall"
)

var errNoPause = errors.New("processes cannot be paused here")

// Pause stops the process where it is.
func (p *Process) Pause() error { return errNoPause }

// Resume lets it go on.
func (p *Process) Resume() error { return errNoPause }

func attributes() *syscall.SysProcAttr { return nil }
