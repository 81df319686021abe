//go:build unix

package spool

import (
	"errors"
	"os"
	"syscall"
)

// lock keeps other processes out, until unlock or this one's death.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.New("another process uses it: give each its own spool.dir")
		}
		return nil, os.NewSyscallError("flock", err)
	}
	return func() { f.Close() }, nil
}
