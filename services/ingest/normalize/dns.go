package normalize

import (
	"encoding/binary"
	"net/netip"
	"strings"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// Elements of DNS, by the documents of their makers.
const (
	// YAF (tools.netsa.cert.org/yaf, yafdpi.html "DNS"): a resource record each, in a list;
	// what its data are is in a list in it. YAF 2 used IANA's lists and addresses,
	// YAF 3 has its own.
	ieYAFResponse    = element(penCERT)<<16 | 174 // 0 is a query, 1 a response
	ieYAFType        = element(penCERT)<<16 | 175
	ieYAFCode        = element(penCERT)<<16 | 177
	ieYAFSection     = element(penCERT)<<16 | 178 // 0 question, 1 answer, 2 authority, 3 additional
	ieYAFName        = element(penCERT)<<16 | 179
	ieYAFCNAME       = element(penCERT)<<16 | 180
	ieYAFMXExchange  = element(penCERT)<<16 | 182
	ieYAFNSName      = element(penCERT)<<16 | 183
	ieYAFPTRName     = element(penCERT)<<16 | 184
	ieYAFTTL         = element(penCERT)<<16 | 199
	ieYAFText        = element(penCERT)<<16 | 208
	ieYAFSOAName     = element(penCERT)<<16 | 214
	ieYAFSRVTarget   = element(penCERT)<<16 | 219
	ieYAFID          = element(penCERT)<<16 | 226
	ieYAFA           = element(penCERT)<<16 | 302
	ieYAFAAAA        = element(penCERT)<<16 | 303
	ieYAFDetailsList = element(penCERT)<<16 | 431
	ieYAFDPIList     = element(penCERT)<<16 | 432

	// nProbe (ntop.org/guides/nprobe, "DNS Plugin"): its numbers in v9 are those of PEN
	// 35632 and 57472.
	ieNtopDNSType     = element(penNtop)<<16 | 207
	ieNtopDNSCode     = element(penNtop)<<16 | 208
	ieNtopDNSTTL      = element(penNtop)<<16 | 352
	ieNtopDNSResponse = element(penNtop)<<16 | 398

	ieNprobeDNSType     = element(ntopInV9 + 207)
	ieNprobeDNSCode     = element(ntopInV9 + 208)
	ieNprobeDNSTTL      = element(ntopInV9 + 352)
	ieNprobeDNSResponse = element(ntopInV9 + 398)

	ntopInV9 = 57472

	// ipfixprobe ("DNS plugin"): the question, and of the answers how many there are and
	// the first one, as text.
	ieCESNETDNSCode    = element(penCESNET)<<16 | 1
	ieCESNETDNSName    = element(penCESNET)<<16 | 2
	ieCESNETDNSType    = element(penCESNET)<<16 | 3
	ieCESNETDNSTTL     = element(penCESNET)<<16 | 5
	ieCESNETDNSData    = element(penCESNET)<<16 | 7
	ieCESNETDNSAnswers = element(penCESNET)<<16 | 14

	// Cisco AVC (Metric Definition Guide, appendix B, "DPI/L7 Extracted Fields"):
	// application id (4 bytes), sub-application id (2 bytes), value.
	ieCiscoSubApplicationValue = element(penCisco)<<16 | 12235
)

// Applications (RFC 6759: engine 3 is IANA's ports) and sub-applications of AVC. Of
// DNS, the one field that there is is the name asked for.
const (
	avcHeader = 6

	avcDNS  = 3<<24 | 53
	avcHTTP = 3<<24 | 80

	avcHTTPURL, avcHTTPHost = 13313, 13314
)

// maxResourceRecords is how many resource records of a flow are looked at.
const maxResourceRecords = 128

// dnsPlan says where in a template the fields of DNS stand; -1 is nowhere.
type dnsPlan struct {
	query, kind, code, ttl, response, answers int
	// first tells that response is the first answer alone.
	first bool
	// avc are the fields of AVC, of which each says itself what it is.
	avc []int
}

// recordPlan is the same for a template of YAF's resource records.
type recordPlan struct {
	response, kind, code, section, name, ttl, id int
}

// dnsFields makes the plans of a template, nil where it has nothing of DNS.
func (c *compiler) dnsFields() {
	at := func(es ...element) int {
		if e := c.l.first(es...); e != 0 {
			return c.l[e]
		}
		return -1
	}
	if c.l.has(ieYAFName) && c.l.has(ieYAFType) {
		c.p.record = &recordPlan{
			at(ieYAFResponse), at(ieYAFType), at(ieYAFCode), at(ieYAFSection), at(ieYAFName), at(ieYAFTTL), at(ieYAFID),
		}
	}
	d := dnsPlan{
		query: at(ieNtopDNSQuery, ieNprobeDNSQuery, ieCESNETDNSName), kind: at(ieNtopDNSType, ieNprobeDNSType, ieCESNETDNSType),
		code: at(ieNtopDNSCode, ieNprobeDNSCode, ieCESNETDNSCode), ttl: at(ieNtopDNSTTL, ieNprobeDNSTTL, ieCESNETDNSTTL),
		response: at(ieNtopDNSResponse, ieNprobeDNSResponse, ieCESNETDNSData), answers: at(ieCESNETDNSAnswers),
		first: c.l.has(ieCESNETDNSName),
	}
	for i := range c.fields {
		if c.fields[i].element == ieCiscoSubApplicationValue {
			d.avc = append(d.avc, i)
		}
	}
	if d.query >= 0 || d.avc != nil {
		c.p.dns = &d
	}
}

// resourceRecord is one of YAF's.
type resourceRecord struct {
	response, section, code uint8
	kind, id                uint16
	ttl                     uint32
	name, data              string
}

// dnsReader is what the record in hand says of DNS.
type dnsReader struct {
	// records are YAF's, in their order; open tells that the lists in the last of
	// them are read.
	records []resourceRecord
	open    bool
	// messages are what others say.
	messages []*flowv1.Dns
}

// reset forgets the record before.
func (d *dnsReader) reset() {
	clear(d.records)
	clear(d.messages)
	d.records, d.messages, d.open = d.records[:0], d.messages[:0], false
}

// begin takes in a resource record.
func (d *dnsReader) begin(t *template, data []byte, bounds []span) {
	if len(d.records) == maxResourceRecords {
		return
	}
	p := t.plan.record
	number := func(i int) uint64 {
		if i < 0 {
			return 0
		}
		return uintOf(t.value(i, data, bounds))
	}
	d.records = append(d.records, resourceRecord{
		response: uint8(number(p.response)), section: uint8(number(p.section)), code: uint8(number(p.code)),
		kind: uint16(number(p.kind)), id: uint16(number(p.id)), ttl: uint32(number(p.ttl)),
		name: domainName(t.value(p.name, data, bounds)),
	})
	d.open = true
}

// fill takes in what a list in a resource record says of its data: an address, a name,
// or text, as a Dns message has it.
func (d *dnsReader) fill(t *template, data []byte, bounds []span) {
	r := &d.records[len(d.records)-1]
	for i := range t.fields {
		b := t.value(i, data, bounds)
		switch t.fields[i].element {
		case ieSrcIPv4, ieSrcIPv6, ieYAFA, ieYAFAAAA:
			if a, ok := netip.AddrFromSlice(b); ok {
				r.data = a.String()
			}
		case ieYAFCNAME, ieYAFMXExchange, ieYAFNSName, ieYAFPTRName, ieYAFSOAName, ieYAFSRVTarget:
			r.data = domainName(b)
		case ieYAFText:
			r.data = textOf(b)
		}
	}
}

// readMore reads what few records have: lists, and fields of DNS.
func (n *Normalizer) readMore(m *message, t *template, data []byte, bounds []span, f *flowv1.Flow, s *scratch, out *Result) {
	n.dns.reset()
	if t.plan.lists != nil {
		n.decorate(m, t, data, bounds, f, s, out)
	}
	if t.plan.dns != nil {
		n.readDNS(t, data, bounds, f)
	}
	if f.DnsName == "" && len(n.dns.records) > 0 {
		f.DnsName = n.dns.records[0].name
	}
}

// readDNS reads the fields of DNS that stand in the record itself.
func (n *Normalizer) readDNS(t *template, data []byte, bounds []span, f *flowv1.Flow) {
	p := t.plan.dns
	if p.query >= 0 {
		if d := p.message(t, data, bounds); d != nil {
			n.dns.messages = append(n.dns.messages, d)
		}
	}
	for _, i := range p.avc {
		b := t.value(i, data, bounds)
		if len(b) <= avcHeader {
			continue // not observed
		}
		value := b[avcHeader:]
		switch application, sub := binary.BigEndian.Uint32(b), binary.BigEndian.Uint16(b[4:]); {
		case application == avcDNS:
			f.DnsName = domainName(value)
			n.dns.messages = append(n.dns.messages, &flowv1.Dns{DnsName: f.DnsName})
		case application == avcHTTP && sub == avcHTTPURL:
			f.HttpUrl = textOf(value)
		case application == avcHTTP && sub == avcHTTPHost:
			f.HttpHost = textOf(value)
		}
	}
}

// message makes the message of nProbe's or ipfixprobe's fields; nil where the flow is
// none of DNS, or of ipfixprobe's, who tells both ways apart, no answer.
func (p *dnsPlan) message(t *template, data []byte, bounds []span) *flowv1.Dns {
	field := func(i int) []byte {
		if i < 0 {
			return nil
		}
		return t.value(i, data, bounds)
	}
	d := &flowv1.Dns{
		DnsName: domainName(field(p.query)), QueryType: uint32(uintOf(field(p.kind))), ResponseCode: uint32(uintOf(field(p.code))),
	}
	if d.DnsName == "" {
		return nil
	}
	ttl := uint32(uintOf(field(p.ttl)))
	if p.first {
		text := textOf(field(p.response))
		if d.ResponseCode == 0 && text == "" && uintOf(field(p.answers)) == 0 {
			return nil
		}
		d.Answers = firstAnswer(d, text, ttl)
		return d
	}
	for _, word := range strings.FieldsFunc(textOf(field(p.response)), func(r rune) bool { return strings.ContainsRune(",; ", r) }) {
		a := ntopAnswer(word)
		a.Name = d.DnsName
		if a.Type == typeA && ttl != 0 { // of the first one alone
			a.Ttl, ttl = ttl, 0
		}
		d.Answers = append(d.Answers, a)
	}
	return d
}

// RR types (IANA, DNS parameters).
const (
	typeA     = 1
	typeCNAME = 5
	typeTXT   = 16
	typeAAAA  = 28
)

var typeNames = map[string]uint32{"A": typeA, "NS": 2, "CNAME": typeCNAME, "SOA": 6, "PTR": 12, "MX": 15, "TXT": typeTXT, "AAAA": typeAAAA, "SRV": 33}

// ntopAnswer reads an answer as nProbe writes it: 216.58.205.67/A.
func ntopAnswer(word string) *flowv1.DnsAnswer {
	text, kind, _ := strings.Cut(word, "/")
	a := &flowv1.DnsAnswer{Type: typeNames[kind], Data: text}
	addr, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		a.Data = domainName([]byte(text))
	case a.Type == 0 && addr.Is4():
		a.Type = typeA
	case a.Type == 0:
		a.Type = typeAAAA
	}
	return a
}

// firstAnswer is the first answer to a question, of ipfixprobe's text; none where that
// says more than an address or a name, and other things of other types.
func firstAnswer(d *flowv1.Dns, text string, ttl uint32) []*flowv1.DnsAnswer {
	a := &flowv1.DnsAnswer{Name: d.DnsName, Type: d.QueryType, Ttl: ttl, Data: text}
	if addr, err := netip.ParseAddr(text); err == nil {
		a.Type = typeAAAA
		if addr.Is4() {
			a.Type = typeA
		}
		return []*flowv1.DnsAnswer{a}
	}
	switch d.QueryType {
	case typeTXT:
	case typeA, typeAAAA: // an alias, which the address belongs to
		a.Type = typeCNAME
		fallthrough
	default:
		a.Data = domainName([]byte(text))
		if strings.Contains(text, " ") {
			return nil
		}
	}
	if a.Data == "" {
		return nil
	}
	return []*flowv1.DnsAnswer{a}
}

// tellDNS makes messages of what was read, each with the flow's ends: the side with
// port 53 is the server.
func (n *Normalizer) tellDNS(m *message, f *flowv1.Flow, out *Result) {
	n.dns.group()
	for _, d := range n.dns.messages {
		d.TimeReceivedNs, d.TimeEventNs = m.receivedNs, f.TimeFlowStartNs
		d.SamplerAddress, d.Realm, d.RecordId = m.dom.agentWire, f.Realm, m.nextID()
		client, server := f.SrcAddr, f.DstAddr
		if f.SrcPort == portDNS && f.DstPort != portDNS {
			client, server = server, client
		}
		d.ClientAddr, d.ServerAddr = append([]byte(nil), client...), append([]byte(nil), server...)
		out.Dns = append(out.Dns, d)
	}
}

const portDNS = 53

// group makes a message of each transaction that was answered, of YAF's resource
// records: the question, and the answers of the response.
func (d *dnsReader) group() {
	for i := range d.records {
		first := &d.records[i]
		if first.response != 1 || first.name == "" || d.grouped(i) {
			continue
		}
		q := &flowv1.Dns{ResponseCode: uint32(first.code)}
		for j := range d.records {
			r := &d.records[j]
			switch {
			case r.id != first.id:
			case r.section == 0 && q.DnsName == "":
				q.DnsName, q.QueryType = r.name, uint32(r.kind)
			case r.section == 1 && r.response == 1:
				q.Answers = append(q.Answers, &flowv1.DnsAnswer{Name: r.name, Type: uint32(r.kind), Ttl: r.ttl, Data: r.data})
			}
		}
		if q.DnsName == "" { // the question was not kept: it was for the first answer's owner
			q.DnsName, q.QueryType = first.name, uint32(first.kind)
		}
		d.messages = append(d.messages, q)
	}
}

// grouped tells whether an earlier record has begun the transaction of the i-th.
func (d *dnsReader) grouped(i int) bool {
	for j := range d.records[:i] {
		if r := &d.records[j]; r.response == 1 && r.name != "" && r.id == d.records[i].id {
			return true
		}
	}
	return false
}

// domainName is a name in the one way it is written in messages: lower case, without
// the dot at its end.
func domainName(b []byte) string {
	return strings.ToLower(strings.TrimSuffix(textOf(b), "."))
}
