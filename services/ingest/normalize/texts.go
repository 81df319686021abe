package normalize

import (
	"encoding/hex"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

const (
	// keptTexts is how many different texts of a kind are kept, at least.
	keptTexts = 4096
	// maxKeptText is the length in bytes beyond which a text is not kept.
	maxKeptText = 128
)

// texts turns fields into strings, and keeps the recent ones, so that names that
// come again and again are made once.
type texts struct {
	make       func([]byte) string
	young, old map[string]string
}

func newTexts(make func([]byte) string) texts {
	return texts{make: make, young: map[string]string{}, old: map[string]string{}}
}

// text is the string for a field.
func (t *texts) text(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if s, ok := t.young[string(b)]; ok {
		return s
	}
	s, ok := t.old[string(b)]
	if !ok {
		s = t.make(b)
	}
	if len(b) > maxKeptText {
		return s
	}
	if len(t.young) >= keptTexts {
		t.young, t.old = t.old, t.young
		clear(t.young)
	}
	t.young[string(b)] = s
	return s
}

// ruleText writes Cisco's 12 bytes of ACL, ACE and extended ACE as its own
// tools do: three hexadecimal numbers.
func ruleText(b []byte) string {
	if len(b) != 12 {
		return hex.EncodeToString(b)
	}
	return hex.EncodeToString(b[:4]) + "-" + hex.EncodeToString(b[4:8]) + "-" + hex.EncodeToString(b[8:])
}

// engineOfEnterprises is the classification engine whose selectors begin with the number
// of the enterprise that gave them out (RFC 6759 §4.1: PANA-L7-PEN).
const engineOfEnterprises = 20

// applicationText writes an application id (RFC 6759 §4.1) that has no known
// name as classification engine and selector; where the engine is one of many
// enterprises', with the enterprise in between.
func applicationText(b []byte) string {
	engine, selector := strconv.Itoa(int(b[0])), b[1:]
	if b[0] == engineOfEnterprises && len(selector) > 4 {
		engine += ":" + strconv.FormatUint(uintOf(selector[:4]), 10)
		selector = selector[4:]
	}
	if len(selector) > 8 {
		return hex.EncodeToString(b)
	}
	return engine + ":" + strconv.FormatUint(uintOf(selector), 10)
}

// applicationKey is an application id as a number.
func applicationKey(b []byte) uint64 {
	if len(b) <= 8 {
		return uintOf(b)
	}
	return xxhash.Sum64(b)
}

// applicationOf is the name of an application: as the exporter's options gave
// it, else its number; empty where the id is zero, which is unknown.
func (n *Normalizer) applicationOf(e *exporter, id []byte) string {
	if zero(id) {
		return ""
	}
	if name, ok := e.applications.get(applicationKey(id)); ok {
		return name
	}
	return n.applicationIDs.text(id)
}
