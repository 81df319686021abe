//go:build !linux

package port

import "net"

// keep finds a port that is free now: elsewhere what is bound is in the way of who would
// listen.
func keep() (addr string, release func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	defer l.Close()
	return l.Addr().String(), func() {}, nil
}
