package netset

import (
	"fmt"
	"net/netip"
)

// Prefix is a network in configuration: 10.0.0.0/8, 2001:db8::/32, or a single
// address, which is a network of one.
type Prefix struct{ netip.Prefix }

// Parse reads a prefix or an address.
func Parse(s string) (Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		if a.Zone() != "" {
			return Prefix{}, fmt.Errorf("cannot use %q as a network: leave out the zone (%%%s)", s, a.Zone())
		}
		return Prefix{netip.PrefixFrom(a, a.BitLen())}, nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return Prefix{}, fmt.Errorf("cannot use %q as a network: write an address (10.1.2.3) or a prefix (10.0.0.0/8)", s)
	}
	if p.Masked() != p {
		return Prefix{}, fmt.Errorf("cannot use %q as a network: it has bits beyond its length; write %s", s, p.Masked())
	}
	return Prefix{p}, nil
}

// MustParse reads prefixes that stand in the source.
func MustParse(list ...string) []Prefix {
	out := make([]Prefix, len(list))
	for i, s := range list {
		p, err := Parse(s)
		if err != nil {
			panic("BUG: " + err.Error())
		}
		out[i] = p
	}
	return out
}

// UnmarshalText reads what Parse reads.
func (p *Prefix) UnmarshalText(text []byte) error {
	q, err := Parse(string(text))
	if err == nil {
		*p = q
	}
	return err
}
