package normalize

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

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
	for _, payload := range capturedPayloads(f) {
		f.Add(payload)
	}
	warm := []Datagram{
		v9().template(300, tuple...).datagram(), ipfix().template(300, tuple...).datagram(),
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		n, out := New(Default()), &Result{}
		for _, d := range warm {
			n.Datagram(d, out)
		}
		for range 2 {
			out.Reset()
			n.Datagram(Datagram{Exporter: netip.MustParseAddr("192.0.2.1"), ReceivedNs: nowNs, Payload: payload}, out)
			if out.Records.Sum() != out.DataRecords {
				t.Fatalf("%+v of %d records", out.Records, out.DataRecords)
			}
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
				if seen[f.RecordId] && len(out.Flows)+len(out.Events)+len(out.Facts) < 1<<positionBits {
					t.Fatalf("record id %x twice", f.RecordId)
				}
				seen[f.RecordId] = true
				if l := len(f.SrcAddr); l != 4 && l != 16 || len(f.DstAddr) != l {
					t.Fatalf("addresses of %d and %d bytes", l, len(f.DstAddr))
				}
				if f.TimeFlowEndNs < f.TimeFlowStartNs {
					t.Fatalf("ends before it starts: %v", f)
				}
			}
		}
	})
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
