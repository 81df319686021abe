package main

import "net/netip"

// allowList holds the prefixes that may send.
type allowList []netip.Prefix

// has tells whether addr, unmapped and without a zone, may send.
func (l allowList) has(addr netip.Addr) bool {
	for _, p := range l {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// open tells whether some address family may send from anywhere.
func (l allowList) open() bool {
	for _, p := range l {
		if p.Bits() == 0 {
			return true
		}
	}
	return false
}
