// Package named gives an address to exporters that have a name and none of their
// own: network interfaces in a cloud, sensors that write log files. Everything
// that tells exporters apart, such as de-duplication, realms by prefix, and the
// partition of events, then treats them like any other.
//
//	fd66:6c6f:77 kk : gggg : nnnn:nnnn:nnnn:nnnn
//	            │      │      ╰ xxhash64 of group, a blank, name
//	            │      ╰ the low 16 bits of xxhash64 of the group
//	            ╰ the kind
//
// The first 40 bits are the prefix "flow" of a unique local range (RFC 4193), so
// no address of a real exporter is met by chance. All names of a group share a
// /64, all groups of a kind a /48.
package named

import (
	"encoding/binary"
	"net/netip"

	"github.com/cespare/xxhash/v2"
)

// Kind is what sort of thing has the name.
type Kind byte

// The kinds.
const (
	// AWS is a network interface or gateway; its group is the account.
	AWS Kind = 1
	// Zeek is a sensor; it has no group.
	Zeek Kind = 2
)

// Addr is the address of the named. It is the same for ever, on every machine.
func Addr(k Kind, group, name string) netip.Addr {
	a := [16]byte{0xfd, 'f', 'l', 'o', 'w', byte(k)}
	binary.BigEndian.PutUint16(a[6:], uint16(xxhash.Sum64String(group)))
	binary.BigEndian.PutUint64(a[8:], xxhash.Sum64String(group+" "+name))
	return netip.AddrFrom16(a)
}
