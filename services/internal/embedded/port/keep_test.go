//go:build linux

package port

import (
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Who asks for any port does not get one that is kept, even were there no other; who
// names it does, also after somebody else.
func TestKeep(t *testing.T) {
	addr, release, err := Keep()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	_, text, _ := strings.Cut(addr, ":")
	number, _ := strconv.Atoi(text)
	var unknown error
	any := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { // the kernel may choose from this one port
			unknown = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_LOCAL_PORT_RANGE, number<<16|number)
		})
	}}
	if l, err := any.Listen(t.Context(), "tcp4", "127.0.0.1:0"); err == nil && unknown == nil {
		t.Errorf("somebody got %s", l.Addr())
		l.Close()
	}
	for range 2 {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
	if release(); unknown != nil {
		t.Logf("this kernel (before Linux 6.3) chooses from all ports, so that release cannot be shown: %v", unknown)
		return
	}
	l, err := any.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("nobody gets the port once it is released: %v", err)
	}
	l.Close()
}
