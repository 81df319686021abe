package netset

import (
	"fmt"
	"net/netip"
)

// Prefix is a network in configuration: 10.0.0.0/8, 2001:db8::/32, or a single
// address, which is a network of one. Parse and FromWire zero what it has beyond its
// length, and make IPv4 of IPv4 written as IPv6 (::ffff:10.0.0.0/104).
type Prefix struct{ netip.Prefix }

// of is the network that a prefix means.
func of(p netip.Prefix) Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return Prefix{p.Masked()}
}

// Parse reads a prefix or an address. What a prefix has beyond its length does not
// count: 10.1.2.3/8 is 10.0.0.0/8.
func Parse(s string) (Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		if a.Zone() != "" {
			return Prefix{}, fmt.Errorf("cannot use %q as a network: leave out the zone (%%%s)", s, a.Zone())
		}
		return of(netip.PrefixFrom(a, a.BitLen())), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return Prefix{}, fmt.Errorf("cannot use %q as a network: write an address (10.1.2.3) or a prefix (10.0.0.0/8)", s)
	}
	return of(p), nil
}

// FromWire is the network of a message: the bytes of an address, and how many bits
// count. Without an address it is the zero Prefix.
func FromWire(addr []byte, length uint32) (Prefix, error) {
	if len(addr) == 0 {
		return Prefix{}, nil
	}
	a, ok := netip.AddrFromSlice(addr)
	if !ok || length > uint32(a.BitLen()) {
		return Prefix{}, fmt.Errorf("%d bits of an address of %d bytes are no network", length, len(addr))
	}
	return of(netip.PrefixFrom(a, int(length))), nil
}

// UnmarshalText reads what Parse reads.
func (p *Prefix) UnmarshalText(text []byte) error {
	q, err := Parse(string(text))
	if err == nil {
		*p = q
	}
	return err
}
