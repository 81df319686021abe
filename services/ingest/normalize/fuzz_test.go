package normalize

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"unicode/utf8"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/capture"
)

// FuzzDatagram sends any bytes after a template, twice, and holds the laws that
// hold for all input: every record is accounted for, identities differ, nothing
// panics, and nothing grows beyond what came in.
func FuzzDatagram(f *testing.F) {
	f.Add(v9Datagram(1, 0, true))
	f.Add(ipfix().template(300, append([]spec{{ieApplicationName, variable}}, tuple...)...).set(300, append([]byte{1, 'x'}, tupleValues(1, 1)...)...).datagram().Payload)
	f.Add(v9().template(300, nsel...).set(300, nselValues(1, firewallUpdate, 1, 2)...).datagram().Payload)
	f.Add(sflowDatagram(flowSampleOf(1, 3, 4, headerEthernet, 60, ethernetFrame(values(2, 0x0800), tcp4))).Payload)
	f.Add(values(2, 5, 2, 30, 4, 1, 4, 1, 4, 0, 4, 0, 4, 0))
	f.Add(v8Datagram(5, 40, 2))
	f.Add(fixedDatagram(1, 0, v1Fields(), v1Fields()).Payload)
	f.Add(fixedDatagram(7, 1, append(v5Fields(), 10, 0, 0, 9)).Payload)
	f.Add(ipfix().template(301, yafTCP...).template(302, spec{ieSubTemplateMultiList, variable}, spec{ieBasicList, variable}).
		set(302, joined(long(joined([]byte{3}, values(2, 301, 2, 12, 4, 1, 4, 1))...), long(joined([]byte{3}, values(2, 8, 2, 4, 4, 1))...))...).datagram().Payload)
	f.Add(sflowDatagram(flowSampleOf(1, 3, 4, headerEthernet, 60, ethernetFrame(values(2, 0x0800), outer4(17, udp(portVXLAN, values(1, 8, 3, 0, 3, 9, 1, 0), ethernetFrame(values(2, 0x0800), tcp4)))))).Payload)
	f.Add(v9().set(777, tupleValues(1, 1)...).template(777, tuple...).datagram().Payload)
	f.Add(yafDNS(2).datagram().Payload)
	f.Add(yafDNS(3).datagram().Payload)
	f.Add(v9().set(301, append(tupleValues(1, 1), values(4, 3_900_000, 4, 4_000_000)...)...).datagram().Payload)
	f.Add(ipfix().set(301, append(tupleValues(1, 1), values(8, nowNs/nsPerMs-9, 8, nowNs/nsPerMs)...)...).datagram().Payload)
	for _, payload := range capturedPayloads(f) {
		f.Add(payload)
	}
	warm := []Datagram{
		v9().template(300, tuple...).template(301, slices.Concat(tuple, inUptimes)...).datagram(),
		ipfix().template(300, tuple...).template(301, slices.Concat(tuple, inMillis)...).datagram(),
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		n, out := New(Default()), &Result{}
		encoding, encoded := New(Default()), &Result{Encode: true}
		var missing, read, buried uint64
		for _, d := range warm {
			n.Datagram(d, out)
			encoding.Datagram(d, encoded)
		}
		for i := range uint64(2) {
			out.Reset()
			encoded.Reset()
			d := Datagram{Exporter: exporterAddr, ReceivedNs: nowNs + i*30*nsPerS, Payload: payload}
			n.Datagram(d, out)
			encoding.Datagram(d, encoded)
			sameFlows(t, int(i), encoded, out)
			if out.Duplicates != 0 {
				break
			}
			if out.Records.Sum() != out.DataRecords {
				t.Fatalf("%+v of %d records", out.Records, out.DataRecords)
			}
			missing += out.MissingTemplateSets
			read += out.LateSets
			buried += out.ExpiredSets
			if got := uint64(len(out.Events)); got != out.Records.Event+out.Records.FlowAndEvent {
				t.Fatalf("%d events of %+v", got, out.Records)
			}
			flows := uint64(len(out.Flows))
			if least := out.Records.Flow + out.Records.FlowAndEvent; flows < least || flows > 2*least {
				t.Fatalf("%d flows of %+v", flows, out.Records)
			}
			if total := out.DataRecords + out.OptionsRecords; total > uint64(len(payload)) {
				t.Fatalf("%d records out of %d bytes", total, len(payload))
			}
			seen := map[uint64]bool{}
			for _, f := range out.Flows {
				distinct(t, seen, f.RecordId)
				if s := flowsText(f); !utf8.ValidString(s) {
					t.Fatalf("not UTF-8: %q", s)
				}
				if l := len(f.SrcAddr); l != 4 && l != 16 || len(f.DstAddr) != l {
					t.Fatalf("addresses of %d and %d bytes", l, len(f.DstAddr))
				}
				if f.TimeFlowEndNs < f.TimeFlowStartNs {
					t.Fatalf("ends before it starts: %v", f)
				}
			}
			for _, e := range out.Events {
				distinct(t, seen, e.RecordId)
			}
			for _, d := range out.Dns {
				distinct(t, seen, d.RecordId)
				if d.DnsName == "" || !utf8.ValidString(renderMessage(d)) || len(d.ClientAddr) != len(d.ServerAddr) {
					t.Fatalf("dns: %v", d)
				}
			}
			for _, f := range out.Facts {
				distinct(t, seen, f.RecordId)
			}
		}
		out.Reset()
		n.End(out)
		if buried += out.ExpiredSets; missing != read+buried || n.waiting.bytes != 0 || n.exporters[exporterAddr].waitingBytes != 0 {
			t.Fatalf("%d sets missed their templates, %d were read late, %d buried, %d bytes wait", missing, read, buried, n.waiting.bytes)
		}
		fields := 0
		for _, d := range n.exporters[exporterAddr].domains {
			for tm := range d.allTemplates() {
				fields += len(tm.fields)
			}
		}
		if fields != n.fields {
			t.Fatalf("%d fields, counted %d", fields, n.fields)
		}
	})
}

// distinct notes an identity, which must be a new one.
func distinct(t *testing.T, seen map[uint64]bool, id uint64) {
	t.Helper()
	if seen[id] {
		t.Fatalf("record id %x twice", id)
	}
	seen[id] = true
}

// flowsText is all that a flow has of text.
func flowsText(f *flowv1.Flow) string {
	return f.Application + f.User + f.HttpHost + f.HttpUrl + f.DnsName + f.FirewallRule
}

// capturedPayloads are the datagrams of all captures, if they are here.
func capturedPayloads(tb testing.TB) (payloads [][]byte) {
	paths, _ := filepath.Glob(filepath.Join(shared, "captures", "*.pcap"))
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			continue
		}
		r, err := capture.Open([]string{path}, capture.Options{})
		if err != nil {
			tb.Fatal(err)
		}
		for d, err := r.Next(); err == nil; d, err = r.Next() {
			payloads = append(payloads, append([]byte(nil), d.Payload...))
		}
		r.Close()
	}
	return payloads
}
