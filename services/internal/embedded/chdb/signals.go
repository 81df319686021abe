//go:build linux && (amd64 || arm64)

package chdb

import (
	"syscall"
	"unsafe"
)

// signals is one more than the highest signal number of Linux.
const signals = 65

// action is the kernel's struct sigaction: handler, flags, restorer, mask.
type action [4]uint64

// keepSignals runs a call of the library and puts every signal handler back as
// it was.
//
// Go's runtime owns the process's signals: it turns SIGSEGV into panics and
// preempts goroutines with SIGURG. libchdb resets eight signals to their
// defaults on connecting, even and above all when told to install no handlers of
// its own; without this the next nil dereference would kill the process without
// a word.
func keepSignals(call func()) {
	var before [signals]action
	for sig := 1; sig < signals; sig++ {
		sigaction(sig, nil, &before[sig])
	}
	call()
	for sig := 1; sig < signals; sig++ {
		var now action
		sigaction(sig, nil, &now)
		if now != before[sig] {
			sigaction(sig, &before[sig], nil)
		}
	}
}

// sigaction is the system call; it fails for SIGKILL and SIGSTOP, which nobody
// can change, so that its result says nothing.
func sigaction(sig int, set, old *action) {
	const maskBytes = 8
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig),
		uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), maskBytes, 0, 0)
}
