package rows

import (
	"net/netip"
	"strconv"
	"strings"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// PassiveDNS builds tables passive_dns and passive_dns_by_addr from topic dns:
// one row per answer, and one for a question that got none.
type PassiveDNS struct {
	names  table[answer]
	addrs  table[answer]
	record *flowv1.Dns
	taken  bool
}

// answer is one resource record, or the lack of any.
type answer struct {
	*flowv1.Dns
	*flowv1.DnsAnswer
}

// NewPassiveDNS makes an empty builder.
func NewPassiveDNS() *PassiveDNS {
	return &PassiveDNS{
		names:  table[answer]{name: "passive_dns", fields: append(whenFields(), answerFields()...)},
		addrs:  table[answer]{name: "passive_dns_by_addr", fields: append(whenFields(), col("addr", answer.addr))},
		record: new(flowv1.Dns),
	}
}

// Append implements Builder.
func (p *PassiveDNS) Append(_, value []byte) (int, error) {
	if p.taken {
		p.names.reset()
		p.addrs.reset()
		p.taken = false
	}
	return eachRecord(p.record, value, p.add)
}

func (p *PassiveDNS) add() {
	if len(p.record.Answers) == 0 {
		p.names.put(p.names.rows, answer{p.record, &flowv1.DnsAnswer{Name: p.record.DnsName, Type: p.record.QueryType}})
	}
	for _, a := range p.record.Answers {
		row := answer{p.record, a}
		p.names.put(p.names.rows, row)
		if row.addr() == [16]byte{} {
			continue
		}
		p.addrs.put(p.addrs.rows, row)
		// The name asked for may be an alias of the one that has the address.
		if owner := row.owner(); owner != p.record.DnsName {
			row.Dns = &flowv1.Dns{
				DnsName: owner, Realm: p.record.Realm, TimeEventNs: p.record.TimeEventNs, TimeReceivedNs: p.record.TimeReceivedNs,
			}
			p.addrs.put(p.addrs.rows, row)
		}
	}
}

// Rows implements Builder.
func (p *PassiveDNS) Rows() int {
	if p.taken {
		return 0
	}
	return p.names.rows
}

// Take implements Builder.
func (p *PassiveDNS) Take() []Block {
	if p.Rows() == 0 {
		return nil
	}
	p.taken = true
	blocks := []Block{p.names.block()}
	if p.addrs.rows > 0 {
		blocks = append(blocks, p.addrs.block())
	}
	return blocks
}

// addr is the address answered; :: if the answer is none.
func (a answer) addr() [16]byte {
	ip, err := netip.ParseAddr(a.Data)
	if err != nil {
		return [16]byte{}
	}
	return ip.As16()
}

// owner is the name whose record it is.
func (a answer) owner() string {
	return strings.ToLower(strings.TrimSuffix(text(a.Name), "."))
}

func whenFields() []field[answer] {
	return []field[answer]{
		key("dns_name", func(a answer) string { return text(a.DnsName) }),
		col("realm", func(a answer) uint32 { return a.Realm }),
		col("time_first", answer.time),
		col("time_last", answer.time),
	}
}

// time is when the question was answered, by the exporter if it says so.
func (a answer) time() Time {
	if a.TimeEventNs != 0 {
		return timeOf(a.TimeEventNs)
	}
	return timeOf(a.TimeReceivedNs)
}

func answerFields() []field[answer] {
	return []field[answer]{
		col("type", func(a answer) string { return dnsWord(dnsTypes, "type", a.Type) }),
		col("data", func(a answer) string { return text(a.Data) }),
		col("name", answer.owner),
		col("response_code", func(a answer) string { return dnsWord(dnsCodes, "rcode", a.ResponseCode) }),
	}
}

// dnsTypes are the RR types that passive DNS meets (IANA, DNS parameters).
var dnsTypes = map[uint32]string{
	1: "a", 2: "ns", 5: "cname", 6: "soa", 12: "ptr", 13: "hinfo", 15: "mx", 16: "txt", 28: "aaaa", 33: "srv",
	35: "naptr", 39: "dname", 43: "ds", 46: "rrsig", 47: "nsec", 48: "dnskey", 64: "svcb", 65: "https", 255: "any", 257: "caa",
}

// dnsCodes are the response codes of RFC 1035 and RFC 2136.
var dnsCodes = map[uint32]string{
	0: "noerror", 1: "formerr", 2: "servfail", 3: "nxdomain", 4: "notimp", 5: "refused",
	6: "yxdomain", 7: "yxrrset", 8: "nxrrset", 9: "notauth", 10: "notzone",
}

// dnsWord is the word for a number, as RFC 3597 writes those without (type65280).
func dnsWord(words map[uint32]string, prefix string, n uint32) string {
	if w, ok := words[n]; ok {
		return w
	}
	return prefix + strconv.FormatUint(uint64(n), 10)
}
