// Package netset answers whether an address lies in a set of prefixes: internal
// networks, allow-lists, watched ranges. Underneath is a trie (gaissmai/bart)
// whose lookups cost some ten nanoseconds whatever the size of the set.
//
//	YAML list ─▶ []Prefix ─▶ New ─▶ Set.Contains(addr)
package netset

import (
	"net/netip"

	"github.com/gaissmai/bart"
)

// Set is a set of prefixes of both families. It does not change once made and
// may be read by several goroutines. The nil set is empty.
type Set struct {
	trie  bart.Lite
	empty bool
}

// New makes a set. Bits beyond a prefix's length do not count, and prefixes may
// overlap. Invalid prefixes are left out: Prefix does not let any in.
func New(prefixes []Prefix) *Set {
	s := &Set{empty: true}
	for _, p := range prefixes {
		if p.IsValid() {
			s.trie.Insert(unmap(p.Prefix).Masked())
			s.empty = false
		}
	}
	return s
}

// Contains tells whether some prefix of the set holds the address. IPv4 written
// as IPv6 (::ffff:10.0.0.1) is IPv4.
func (s *Set) Contains(a netip.Addr) bool {
	if s == nil || s.empty {
		return false
	}
	return s.trie.Contains(a.Unmap())
}

// Empty tells whether the set holds nothing.
func (s *Set) Empty() bool { return s == nil || s.empty }

// unmap turns a prefix within ::ffff:0:0/96 into the IPv4 prefix it means.
func unmap(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}
