//go:build linux

package demo

import "syscall"

// attributes put a child into a group of its own, so that Ctrl-C reaches it
// only through us, in order; and end it should we be killed.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
