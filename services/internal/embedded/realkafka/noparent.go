//go:build !linux

package realkafka

import "os/exec"

// dieWithParent is Linux's alone.
func dieWithParent(*exec.Cmd) {}
