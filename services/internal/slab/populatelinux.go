//go:build linux

package slab

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// populate makes memory that has not been written yet ready to be written (Linux 5.14;
// before that, and where it does not lie on the system's pages, nothing happens).
func populate(p unsafe.Pointer, n uintptr) {
	_ = unix.Madvise(unsafe.Slice((*byte)(p), n), unix.MADV_POPULATE_WRITE)
}
