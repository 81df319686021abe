package zeek

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// dns makes the answer of the record that was read last.
func (p *Parser) dns(line []byte, receivedNs uint64) *flowv1.Dns {
	r := &p.record
	return &flowv1.Dns{
		TimeReceivedNs: receivedNs, TimeEventNs: r.ns,
		SamplerAddress: p.sensor().AsSlice(), Realm: p.cfg.Realm,
		ClientAddr: wire(r.client), ServerAddr: wire(r.server),
		DnsName: name(r.query), QueryType: r.qtype, ResponseCode: r.rcode,
		Answers: r.answerRecords(), RecordId: p.recordID(line),
	}
}

// event tells of a question to which no answer was seen, or of a response without
// a question.
func (p *Parser) event(line []byte, receivedNs uint64) *flowv1.Event {
	r := &p.record
	e := &flowv1.Event{
		Kind:           flowv1.EventKind_EVENT_KIND_APPLICATION,
		SamplerAddress: p.sensor().AsSlice(), Realm: p.cfg.Realm,
		SrcAddr: wire(r.client), DstAddr: wire(r.server), SrcPort: r.clientPort, DstPort: r.port,
		TimeReceivedNs: receivedNs, TimeEventNs: r.ns, RecordId: p.recordID(line),
		Attributes: map[string]string{
			"application": "dns", "dns_name": name(r.query), "query_type": strconv.FormatUint(uint64(r.qtype), 10),
		},
	}
	if len(r.answers) > 0 {
		e.Attributes["answers"] = clean(strings.Join(r.answers, ","))
	}
	switch r.proto {
	case "udp":
		e.Proto = flow.ProtoUDP
	case "tcp":
		e.Proto = flow.ProtoTCP
	}
	return e
}

// recordID is the identity of a line: what it says and, below, its place in the
// file. A file that comes twice gives the same.
func (p *Parser) recordID(line []byte) uint64 {
	return xxhash.Sum64(line)&^0xffff | p.at.line&0xffff
}

// answerRecords are the answers with what Zeek leaves out. It logs neither the
// owner nor the type of an answer: addresses say their type, and names in the
// answer to a question for addresses are the aliases on the way to them
// (RFC 1034 §3.6.2), each the owner of what follows.
func (r *record) answerRecords() []*flowv1.DnsAnswer {
	owner := name(r.query)
	var out []*flowv1.DnsAnswer
	for i, text := range r.answers {
		a := &flowv1.DnsAnswer{Name: owner}
		if i < len(r.ttls) && r.ttls[i] > 0 && r.ttls[i] < 1<<32 {
			a.Ttl = uint32(r.ttls[i])
		}
		a.Type, a.Data = r.answer(text)
		if a.Type == typeCNAME {
			owner = a.Data
		}
		out = append(out, a)
	}
	return out
}

// RR types (IANA, DNS parameters).
const (
	typeA     = 1
	typeCNAME = 5
	typeTXT   = 16
	typeAAAA  = 28
	typeSVCB  = 64
	typeHTTPS = 65
	typeANY   = 255
)

// spelt are the types that Zeek writes before the data.
var spelt = map[string]uint32{
	"TXT": typeTXT, "SPF": 99, "RRSIG": 46, "NSEC": 47, "NSEC3": 50, "NSEC3PARAM": 51, "DNSKEY": 48, "DS": 43,
	"LOC": 29, "SSHFP": 44, "CAA": 257, "NAPTR": 35, "HINFO": 13, "WKS": 11, "BINDS": 65534, "SVCB": typeSVCB, "HTTPS": typeHTTPS,
}

// answer is the type and the data of an answer as Zeek writes it.
func (r *record) answer(text string) (rrtype uint32, data string) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		if a.Is4() {
			return typeA, text
		}
		return typeAAAA, a.String()
	}
	if rest, ok := strings.CutPrefix(text, "<unknown type="); ok {
		n, err := strconv.ParseUint(strings.TrimSuffix(rest, ">"), 10, 16)
		if err == nil {
			return uint32(n), ""
		}
	}
	if word, rest, ok := strings.Cut(text, " "); ok && spelt[word] != 0 {
		if word == "TXT" || word == "SPF" {
			return spelt[word], clean(characterStrings(rest))
		}
		return spelt[word], clean(rest)
	}
	switch r.qtype {
	case typeA, typeAAAA, typeSVCB, typeHTTPS:
		return typeCNAME, name(text)
	case typeANY, 0:
		return 0, name(text)
	case 2, 6, 12, 15, 33: // NS, SOA, PTR, MX, SRV: names
		return r.qtype, name(text)
	}
	return r.qtype, clean(text)
}

// characterStrings joins the character strings of a TXT record, each of which Zeek writes
// with its length before it: 5 hello 5 world. What is written otherwise stays.
func characterStrings(s string) string {
	var parts []string
	for rest := s; ; {
		length, text, ok := strings.Cut(rest, " ")
		n, err := strconv.ParseUint(length, 10, 8)
		if !ok || err != nil || uint64(len(text)) < n {
			return s
		}
		parts = append(parts, text[:n])
		if rest = text[n:]; rest == "" {
			return strings.Join(parts, " ")
		}
		if rest, ok = strings.CutPrefix(rest, " "); !ok {
			return s
		}
	}
}

// name is a domain name in the one way it is written here: lower case, without
// the dot at its end.
func name(s string) string {
	return clean(strings.ToLower(strings.TrimSuffix(s, ".")))
}

func wire(a netip.Addr) []byte {
	if !a.IsValid() {
		return nil
	}
	return a.AsSlice()
}
