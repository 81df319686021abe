//go:build !linux

package embedded

import "syscall"

// attributes put a child into a group of its own, so that Ctrl-C reaches it only
// through us, in order.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
