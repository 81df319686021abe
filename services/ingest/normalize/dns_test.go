package normalize

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rendered are the DNS messages of a result without what identifies and dates them.
func rendered(out *Result) (all []string) {
	for _, d := range out.Dns {
		d.RecordId, d.TimeReceivedNs, d.TimeEventNs, d.SamplerAddress = 0, 0, 0, nil
		all = append(all, renderMessage(d))
	}
	return all
}

// text is a value of variable length.
func text(s string) []byte { return append([]byte{byte(len(s))}, s...) }

// yafRecord is a resource record as YAF exports it: with the list of its data in front.
func yafRecord(details []byte, name string, ttl, kind, response, code, section, id uint64) []byte {
	return joined(long(details...), text(name), values(4, ttl, 2, kind, 1, response, 1, 0, 1, code, 1, section, 2, id))
}

// yafDNS is a message with a flow whose DNS is told in lists, by the documents of YAF 2
// and 3: no capture that we have carries any.
//
// Templates: 1001 resource records, 1002 A, 1003 CNAME, 1004 AAAA, 1005 YAF 2's list of
// resource records, which stands in the subTemplateMultiList.
func yafDNS(version int) *writer {
	details, four, six := spec{ieSubTemplateList, variable}, spec{ieSrcIPv4, 4}, spec{ieSrcIPv6, 16}
	if version == 3 {
		details, four, six = spec{ieYAFDetailsList, variable}, spec{ieYAFA, 4}, spec{ieYAFAAAA, 16}
	}
	w := ipfix().
		template(1001, details, spec{ieYAFName, variable}, spec{ieYAFTTL, 4}, spec{ieYAFType, 2}, spec{ieYAFResponse, 1},
			spec{element(penCERT)<<16 | 176, 1}, spec{ieYAFCode, 1}, spec{ieYAFSection, 1}, spec{ieYAFID, 2}).
		template(1002, four).template(1003, spec{ieYAFCNAME, variable}).template(1004, six).
		template(1005, spec{ieSubTemplateList, variable})
	none := []byte{255, 0, 0}
	list := func(template uint64, b []byte) []byte { return joined([]byte{3}, values(2, template), b) }
	records := joined(
		yafRecord(none, "WWW.Example.COM.", 0, 1, 0, 0, 0, 77),
		yafRecord(list(1003, text("edge.example.net.")), "www.example.com", 300, 5, 1, 0, 1, 77),
		yafRecord(list(1002, values(4, 0xc6336401)), "edge.example.net", 60, 1, 1, 0, 1, 77),
		yafRecord(list(1002, values(4, 0xc6336402)), "edge.example.net", 60, 1, 1, 0, 1, 77),
		yafRecord(none, "example.net", 600, 2, 1, 0, 2, 77), // authority: no answer
		yafRecord(none, "gone.example.com", 0, 28, 0, 0, 0, 78),
		yafRecord(none, "gone.example.com", 0, 28, 1, 3, 0, 78),
		yafRecord(none, "unanswered.example.com", 0, 1, 0, 0, 0, 79),
		yafRecord(list(1004, values(8, 0x20010db800000000, 8, 9)), "six.example.com", 30, 28, 1, 0, 1, 80))
	flow := values(4, 0x0a000001, 4, 0x0a000035, 2, 40000, 2, 53, 1, 17, 4, 400, 4, 2)
	if version == 3 {
		return w.template(1000, append(append([]spec(nil), tuple...), spec{ieYAFDPIList, variable})...).
			set(1000, joined(flow, long(list(1001, records)...))...)
	}
	inner := long(list(1001, records)...)
	multi := joined([]byte{3}, values(2, 1005, 2, uint64(4+len(inner))), inner)
	return w.template(1000, append(append([]spec(nil), tuple...), spec{ieSubTemplateMultiList, variable})...).
		set(1000, joined(flow, long(multi...))...)
}

func TestDNSOfYAF(t *testing.T) {
	for _, version := range []int{2, 3} {
		out := run(Default(), yafDNS(version).datagram())
		if f := only(t, out); f.DnsName != "www.example.com" || f.Bytes != 400 || f.SrcPort != 40000 || string(f.SrcAddr) != "\x0a\x00\x00\x01" {
			t.Errorf("YAF %d: the flow is %v", version, f)
		}
		ends := `"client_addr":"10.0.0.1","server_addr":"10.0.0.53",`
		if d := cmp.Diff(rendered(out), []string{
			`{` + ends + `"dns_name":"www.example.com","query_type":1,"answers":[` +
				`{"name":"www.example.com","type":5,"ttl":300,"data":"edge.example.net"},` +
				`{"name":"edge.example.net","type":1,"ttl":60,"data":"198.51.100.1"},` +
				`{"name":"edge.example.net","type":1,"ttl":60,"data":"198.51.100.2"}]}`,
			`{` + ends + `"dns_name":"gone.example.com","query_type":28,"response_code":3}`,
			`{` + ends + `"dns_name":"six.example.com","query_type":28,"answers":[{"name":"six.example.com","type":28,"ttl":30,"data":"2001:db8::9"}]}`,
		}); d != "" {
			t.Errorf("YAF %d (-got, +want)\n%s", version, d)
		}
	}
}

// TestDNSOfNprobe is by the table of ntop's guide; no capture that we have carries these
// elements (v9_nprobe_dpi has those of applications alone).
func TestDNSOfNprobe(t *testing.T) {
	fixed := func(s string, size int) []byte { return append([]byte(s), make([]byte, size-len(s))...) }
	reply := func(query, response string, kind, code, ttl uint64) []byte {
		return joined(values(4, 0x0a000035, 4, 0x0a000001, 2, 53, 2, 40000, 1, 17, 4, 200, 4, 1),
			fixed(query, 64), values(2, 9, 1, kind, 1, code, 1, 1, 4, ttl), fixed(response, 64))
	}
	specs := func(pen element) []spec {
		return append(append([]spec(nil), tuple...), spec{pen + 205, 64}, spec{pen + 206, 2}, spec{pen + 207, 1}, spec{pen + 208, 1}, spec{pen + 209, 1},
			spec{pen + 352, 4}, spec{pen + 398, 64})
	}
	ends := `"client_addr":"10.0.0.1","server_addr":"10.0.0.53",`
	want := []string{
		`{` + ends + `"dns_name":"google.it","query_type":1,"answers":[{"name":"google.it","type":1,"ttl":64,"data":"216.58.205.67"}]}`,
		`{` + ends + `"dns_name":"www.example.com","query_type":28,"answers":[` +
			`{"name":"www.example.com","type":5,"data":"edge.example.net"},{"name":"www.example.com","type":28,"data":"2001:db8::9"}]}`,
		`{` + ends + `"dns_name":"gone.example.com","query_type":1,"response_code":3}`,
	}
	for name, w := range map[string]*writer{"v9": v9(), "IPFIX": ipfix()} {
		base := element(ntopInV9)
		if name == "IPFIX" {
			base = element(penNtop) << 16
		}
		body := joined(
			reply("google.it", "216.58.205.67/A", 1, 0, 64),
			reply("www.example.com", "edge.example.net/CNAME;2001:db8::9/AAAA", 28, 0, 0),
			reply("gone.example.com", "", 1, 3, 0),
			reply("", "", 0, 0, 0))
		out := run(Default(), w.template(300, specs(base)...).set(300, body...).datagram())
		if len(out.Flows) != 4 || out.Flows[0].DnsName != "google.it" {
			t.Errorf("%s: %v", name, out.Flows)
		}
		if d := cmp.Diff(rendered(out), want); d != "" {
			t.Errorf("%s (-got, +want)\n%s", name, d)
		}
	}
}

// TestDNSOfIpfixprobe is by its plugin's tests: the answers are those that it tells, of
// which what is neither an address nor a name is none, and a question alone is no message.
func TestDNSOfIpfixprobe(t *testing.T) {
	specs := append(append([]spec(nil), tuple...), spec{ieCESNETDNSAnswers, 2}, spec{ieCESNETDNSCode, 1}, spec{ieCESNETDNSType, 2},
		spec{ieCESNETDNSTTL, 4}, spec{ieCESNETDNSName, variable}, spec{ieCESNETDNSData, variable}, spec{ieFlowmonHTTPHost, variable}, spec{ieFlowmonHTTPURL, variable})
	counted := func(s string) []byte { return append([]byte{byte(len(s))}, s...) }
	record := func(answers, code, kind, ttl uint64, name, data string) []byte {
		return joined(values(4, 0x0a000035, 4, 0x0a000001, 2, 53, 2, 40000, 1, 17, 4, 200, 4, 1, 2, answers, 1, code, 2, kind, 4, ttl),
			counted(name), counted(data), counted("h.example"), counted("/u"))
	}
	body := joined(
		record(0, 0, 1, 0, "kernel.org", ""),
		record(3, 0, 1, 360, "kernel.org", "199.204.44.194"),
		record(2, 0, 28, 60, "www.example.com", "edge.example.net"),
		record(1, 0, 12, 21599, "4.4.8.8.in-addr.arpa", "google-public-dns-b.google.com"),
		record(5, 0, 15, 599, "google.com", "20 alt1.aspmx.l.google.com"),
		record(2, 0, 16, 3042, "youtube.com", "v=spf1 include:google.com mx -all"),
		record(0, 3, 1, 0, "gone.example.com", ""))
	out := run(Default(), ipfix().template(300, specs...).set(300, body...).datagram())
	if len(out.Flows) != 7 || out.Flows[0].DnsName != "kernel.org" || out.Flows[0].HttpHost != "h.example" || out.Flows[0].HttpUrl != "/u" {
		t.Errorf("%v", out.Flows)
	}
	message := func(name, kind, rest string) string {
		return `{"client_addr":"10.0.0.1","server_addr":"10.0.0.53","dns_name":"` + name + `","query_type":` + kind + rest + `}`
	}
	answer := func(name, answer string) string { return `,"answers":[{"name":"` + name + `",` + answer + `}]` }
	want := []string{
		message("kernel.org", "1", answer("kernel.org", `"type":1,"ttl":360,"data":"199.204.44.194"`)),
		message("www.example.com", "28", answer("www.example.com", `"type":5,"ttl":60,"data":"edge.example.net"`)),
		message("4.4.8.8.in-addr.arpa", "12", answer("4.4.8.8.in-addr.arpa", `"type":12,"ttl":21599,"data":"google-public-dns-b.google.com"`)),
		message("google.com", "15", ""),
		message("youtube.com", "16", answer("youtube.com", `"type":16,"ttl":3042,"data":"v=spf1 include:google.com mx -all"`)),
		message("gone.example.com", "1", `,"response_code":3`),
	}
	if d := cmp.Diff(rendered(out), want); d != "" {
		t.Errorf("(-got, +want)\n%s", d)
	}
}

// TestDNSOfAVC is by appendix B of Cisco's Metric Definition Guide; of the captures of
// NBAR none has the element.
func TestDNSOfAVC(t *testing.T) {
	sub := func(application, field uint64, value string) []byte {
		return append(values(1, uint64(6+len(value)), 4, application, 2, field), value...)
	}
	for name, e := range map[string]element{"v9": ieCiscoSubApplicationValue&0xffff | 0x8000, "IPFIX": ieCiscoSubApplicationValue} {
		w := ipfix()
		if name == "v9" {
			w = v9()
		}
		specs := append(append([]spec(nil), tuple...), spec{e, variable}, spec{e, variable}, spec{e, variable})
		body := joined(tupleValues(10, 1), sub(avcHTTP, avcHTTPHost, "shop.example.com"), sub(avcHTTP, avcHTTPURL, "/cart"), sub(avcDNS, 13313, ""))
		body = joined(body, tupleValues(20, 1), sub(avcDNS, 13313, "WWW.example.com"), sub(avcHTTP, avcHTTPHost, ""), sub(avcHTTP, avcHTTPURL, ""))
		out := run(Default(), w.template(300, specs...).set(300, body...).datagram())
		if len(out.Flows) != 2 || out.Flows[0].HttpHost != "shop.example.com" || out.Flows[0].HttpUrl != "/cart" || out.Flows[1].DnsName != "www.example.com" {
			t.Errorf("%s: %v", name, out.Flows)
		}
		if d := cmp.Diff(rendered(out), []string{`{"client_addr":"10.0.0.1","server_addr":"10.0.0.2","dns_name":"www.example.com"}`}); d != "" {
			t.Errorf("%s (-got, +want)\n%s", name, d)
		}
	}
}

// What one record says of DNS does not become another's.
func TestDNSIsOfItsOwnRecord(t *testing.T) {
	w := yafDNS(3)
	w.template(1100, append(append([]spec(nil), tuple...), spec{ieSubTemplateList, variable})...).
		set(1100, joined(tupleValues(1, 1), []byte{0})...)
	out := run(Default(), w.datagram())
	if len(out.Flows) != 2 || out.Flows[1].DnsName != "" || len(out.Dns) != 3 {
		t.Errorf("%d messages, %v", len(out.Dns), out.Flows)
	}
}
