package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// sources are the sockets that a replay sends from: one, or one per exporter
// or port of the capture.
type sources struct {
	to, bind         string
	spread, fromPort bool

	target *net.UDPAddr
	local  netip.Addr
	conns  map[netip.AddrPort]*net.UDPConn
	// addrs says which loopback address stands for which exporter, in order.
	addrs map[netip.Addr]netip.Addr
	taken map[netip.Addr]bool
	order []netip.Addr
}

// resolve looks the addresses up.
func (s *sources) resolve() error {
	var err error
	if s.target, err = net.ResolveUDPAddr("udp", s.to); err != nil {
		return fmt.Errorf("cannot use --to %s: %w; write host:port, for example 127.0.0.1:2055", s.to, err)
	}
	if s.target.IP == nil {
		s.target.IP = net.IPv4(127, 0, 0, 1)
	}
	if s.bind != "" {
		if s.local, err = netip.ParseAddr(s.bind); err != nil {
			return fmt.Errorf("cannot use --bind %s: %w; give an address of this host", s.bind, err)
		}
	}
	if to, _ := netip.AddrFromSlice(s.target.IP); s.spread && (!to.Unmap().Is4() || !to.IsLoopback()) {
		return fmt.Errorf("--spread sends from 127.x.y.z, which reaches loopback only, not %s; leave --spread away or send to 127.0.0.1", s.to)
	}
	s.conns = make(map[netip.AddrPort]*net.UDPConn)
	s.addrs, s.taken = make(map[netip.Addr]netip.Addr), make(map[netip.Addr]bool)
	return nil
}

// of is the socket that stands for an exporter.
func (s *sources) of(exporter netip.AddrPort) (*net.UDPConn, error) {
	local := netip.AddrPortFrom(s.local, 0)
	if s.spread {
		local = netip.AddrPortFrom(s.loopback(exporter.Addr()), 0)
	}
	if s.fromPort {
		local = netip.AddrPortFrom(local.Addr(), exporter.Port())
	}
	if c, ok := s.conns[local]; ok {
		return c, nil
	}
	c, err := net.DialUDP("udp", &net.UDPAddr{IP: local.Addr().AsSlice(), Port: int(local.Port())}, s.target)
	if err != nil {
		return nil, fmt.Errorf("cannot send from %v to %s: %w%s", local, s.to, err, s.advice())
	}
	s.conns[local] = c
	return c, nil
}

func (s *sources) advice() string {
	switch {
	case s.spread:
		return "; systems other than Linux need each 127.x.y.z as an alias of the loopback interface"
	case s.fromPort:
		return "; the port may be in use, or below 1024, which needs privileges: leave --from-port away"
	case s.bind != "":
		return "; --bind must be an address of this host"
	}
	return ""
}

// loopback is the address that stands for an exporter: its own with 127 in
// front if it is IPv4 and that is free, else the next free one from 127.127.0.1.
func (s *sources) loopback(exporter netip.Addr) netip.Addr {
	if a, ok := s.addrs[exporter]; ok {
		return a
	}
	a := netip.AddrFrom4([4]byte{127, 127, 0, 1})
	if exporter.Is4() {
		b := exporter.As4()
		b[0] = 127
		if own := netip.AddrFrom4(b); b != [4]byte{127, 0, 0, 0} && b != [4]byte{127, 255, 255, 255} {
			a = own
		}
	}
	if s.taken[a] {
		a = netip.AddrFrom4([4]byte{127, 127, 0, 1})
	}
	for s.taken[a] {
		a = a.Next()
	}
	s.taken[a], s.addrs[exporter] = true, a
	s.order = append(s.order, exporter)
	return a
}

// mapping says which exporter became which address.
func (s *sources) mapping() []string {
	var out []string
	for _, exporter := range s.order {
		out = append(out, fmt.Sprintf("%v from %v", exporter, s.addrs[exporter]))
	}
	return out
}

func (s *sources) close() error {
	var errs []error
	for _, c := range s.conns {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
