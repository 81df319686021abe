package normalize

import (
	"bytes"
	"encoding/binary"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/netsampler/goflow2/v2/decoders/netflow"
	"github.com/netsampler/goflow2/v2/decoders/netflowlegacy"
)

// volume is what a reference decoder reads of a flow record.
type volume struct {
	Src, Dst       [4]byte
	SrcPort        uint32
	Bytes, Packets uint64
}

// TestAgainstLegacyDecoder holds our v5, which is a plan like any other, against
// goflow2's decoder of its own.
func TestAgainstLegacyDecoder(t *testing.T) {
	needShared(t)
	for _, name := range []string{"v5", "v5_router", "v5_juniper_mx80"} {
		in := datagrams(t, filepath.Join(shared, "captures", name+".pcap"))
		var want, got []volume
		for _, d := range in {
			var p netflowlegacy.PacketNetFlowV5
			if err := netflowlegacy.DecodeMessageVersion(bytes.NewBuffer(d.Payload), &p); err != nil {
				t.Fatal(err)
			}
			for _, r := range p.Records {
				v := volume{SrcPort: uint32(r.SrcPort), Bytes: uint64(r.DOctets), Packets: uint64(r.DPkts)}
				binary.BigEndian.PutUint32(v.Src[:], uint32(r.SrcAddr))
				binary.BigEndian.PutUint32(v.Dst[:], uint32(r.DstAddr))
				want = append(want, v)
			}
		}
		for _, f := range normalized(Default(), in).Flows {
			got = append(got, volume{[4]byte(f.SrcAddr), [4]byte(f.DstAddr), f.SrcPort, f.Bytes, f.Packets})
		}
		if d := cmp.Diff(got, want); d != "" {
			t.Errorf("%s (-got, +want)\n%s", name, d)
		}
	}
}

// TestAgainstGoflow2 holds our plans against goflow2's decoder of data sets, on
// all records of all captures of v9 and IPFIX: the values of elements 1, 2 and 8
// of flows that go only one way.
func TestAgainstGoflow2(t *testing.T) {
	needShared(t)
	paths, _ := filepath.Glob(filepath.Join(shared, "captures", "*.pcap"))
	compared := 0
	for _, path := range paths {
		base := filepath.Base(path)
		if strings.HasPrefix(base, "v5") || strings.HasPrefix(base, "sflow") {
			continue
		}
		in := datagrams(t, path)
		store := netflow.CreateTemplateSystem()
		var want, got []uint64
		for _, d := range in {
			want = append(want, referenceOctets(t, d.Payload, store)...)
		}
		if base == "v9_0length.pcap" || base == "v9_paloalto81.pcap" || base == "v9_h3c.pcap" || base == "barracuda.pcap" || base == "netscaler.pcap" {
			continue // fields of no length, padding, counts in headers, firewalls: told apart in TestCapturesAddUp
		}
		for _, f := range normalized(Default(), in).Flows {
			if f.PairId == 0 || f.PairId == f.RecordId {
				got = append(got, f.Bytes)
			}
		}
		if len(want) == 0 {
			continue
		}
		compared += len(want)
		if d := cmp.Diff(got, want); d != "" {
			t.Errorf("%s (-got, +want)\n%s", base, d)
		}
	}
	if compared < 250 {
		t.Errorf("only %d records compared", compared)
	}
}

// referenceOctets reads element 1 of all data records of a datagram.
func referenceOctets(t *testing.T, payload []byte, store netflow.NetFlowTemplateSystem) (octets []uint64) {
	var v9 netflow.NFv9Packet
	var v10 netflow.IPFIXPacket
	// goflow2 reads as many sets as the header counts records: give it more.
	payload = append([]byte(nil), payload...)
	if binary.BigEndian.Uint16(payload) == 9 {
		binary.BigEndian.PutUint16(payload[2:], 999)
	}
	err := netflow.DecodeMessageVersion(bytes.NewBuffer(payload), store, &v9, &v10)
	if err != nil && !errors.Is(err, netflow.ErrorTemplateNotFound) {
		t.Log(err)
	}
	for _, set := range append(v9.FlowSets, v10.FlowSets...) {
		data, ok := set.(netflow.DataFlowSet)
		if !ok {
			continue
		}
		for _, r := range data.Records {
			for _, v := range r.Values {
				if v.Type == 1 && !v.PenProvided {
					octets = append(octets, uintOf(v.Value.([]byte)))
				}
			}
		}
	}
	return octets
}

// TestTraffic decodes whole networks: every record a flow, nothing bad.
func TestTraffic(t *testing.T) {
	needShared(t)
	paths, _ := filepath.Glob(filepath.Join(shared, "traffic", "*.pcap.gz"))
	more, _ := filepath.Glob(filepath.Join(shared, "attacks", "*.pcap.gz"))
	for _, path := range append(paths, more...) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			n, out := New(Default()), &Result{}
			suspect, records := 0, Records{}
			var dead, bad, missing uint64
			for _, d := range datagrams(t, path) {
				out.Reset()
				n.Datagram(d, out)
				records.Flow += out.Records.Flow
				dead += uint64(len(out.Dead))
				bad += out.BadDatagrams
				missing += out.MissingTemplateSets
				if out.Records.Sum() != out.Records.Flow {
					t.Fatalf("%+v", out.Records)
				}
				for _, f := range out.Flows {
					if f.TimeSuspect {
						suspect++
					}
				}
			}
			if records.Flow == 0 || dead+bad+missing != 0 || suspect != 0 {
				t.Errorf("%d flows, %d dead, %d bad, %d sets without template, %d suspect", records.Flow, dead, bad, missing, suspect)
			}
		})
	}
}
