package normalize

import (
	"strconv"
	"strings"

	"github.com/netsampler/goflow2/v2/decoders/netflow"
)

// namer gives elements their names. IANA's come from goflow2, which builds its
// whole table for every question; so each answer is kept.
type namer struct{ iana map[uint16]string }

// name is what attributes call an element: IANA's name, or the vendor's; for
// elements of the way back, IANA's with "reverse" before it; else numbers.
func (n *namer) name(e element) string {
	if s := vendorName(e); s != "" {
		return s
	}
	switch e.pen() {
	case 0:
		if s := n.ianaName(e.id()); s != "" {
			return s
		}
		return "element" + strconv.Itoa(int(e.id()))
	case penReverse:
		if s := n.ianaName(e.id()); s != "" {
			return "reverse" + strings.ToUpper(s[:1]) + s[1:]
		}
	}
	return "element" + strconv.FormatUint(uint64(e.pen()), 10) + "/" + strconv.Itoa(int(e.id()))
}

func (n *namer) ianaName(id uint16) string {
	if id == 0 || id > 467 {
		return ""
	}
	if s, ok := n.iana[id]; ok {
		return s
	}
	s := netflow.IPFIXTypeToString(id)
	if strings.ContainsRune(s, ' ') {
		s = "" // "Assigned for NetFlow v9 compatibility", "Unassigned"
	}
	if n.iana == nil {
		n.iana = map[uint16]string{}
	}
	n.iana[id] = s
	return s
}

// scopeName is what attributes call a scope of a v9 options template (RFC 3954 §6.1).
func scopeName(id uint16) string {
	switch id {
	case scopeSystem:
		return "scopeSystem"
	case scopeInterface:
		return "scopeInterface"
	case scopeLineCard:
		return "scopeLineCard"
	case scopeCache:
		return "scopeCache"
	case scopeTemplate:
		return "scopeTemplate"
	}
	return "scope" + strconv.Itoa(int(id))
}

// Scopes of v9 options templates.
const (
	scopeSystem    = 1
	scopeInterface = 2
	scopeLineCard  = 3
	scopeCache     = 4
	scopeTemplate  = 5
)
