//go:build linux

package realkafka

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel kill the node when this process dies, so that a
// test that was killed leaves no node behind.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
