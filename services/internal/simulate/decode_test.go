package simulate

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/netsampler/goflow2/v2/decoders/netflow"
	"github.com/netsampler/goflow2/v2/decoders/netflowlegacy"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// decoded is what an independent decoder makes of one exporter's datagrams.
type decoded struct {
	t         *testing.T
	cfg       *ExporterConfig
	templates netflow.NetFlowTemplateSystem
	records   []Record
	options   int
	sequence  uint32 // what the next datagram must carry
}

func newDecoded(t *testing.T, cfg *ExporterConfig) *decoded {
	return &decoded{t: t, cfg: cfg, templates: netflow.CreateTemplateSystem()}
}

// take decodes a datagram, holds its header against what must be, and returns
// its records.
func (d *decoded) take(payload []byte) []Record {
	d.t.Helper()
	if len(payload) > maxPayload {
		d.t.Errorf("datagram of %d octets: more than %d", len(payload), maxPayload)
	}
	from, options := len(d.records), d.options
	buf := bytes.NewBuffer(bytes.Clone(payload))
	version := binary.BigEndian.Uint16(buf.Next(2))
	var sequence, step uint32
	switch version {
	case 5:
		var p netflowlegacy.PacketNetFlowV5
		d.check(netflowlegacy.DecodeMessage(buf, &p))
		d.v5(&p)
		sequence, step = p.FlowSequence, uint32(len(d.records)-from)
	case 9:
		var p netflow.NFv9Packet
		d.check(netflow.DecodeMessageNetFlow(buf, d.templates, &p))
		boot := int64(p.UnixSeconds)*1e9 - int64(p.SystemUptime)*1e6 // up to a second early
		if diff := d.cfg.clock(d.cfg.Boot) - boot; diff < 0 || diff >= 1e9+1e6 {
			d.t.Errorf("boot time by the header is off by %d ns", diff)
		}
		d.sets(p.FlowSets)
		sequence, step = p.SequenceNumber, 1
	case 10:
		var p netflow.IPFIXPacket
		d.check(netflow.DecodeMessageIPFIX(buf, d.templates, &p))
		if int(p.Length) != len(payload) {
			d.t.Errorf("length %d in a message of %d octets", p.Length, len(payload))
		}
		d.sets(p.FlowSets)
		sequence, step = p.SequenceNumber, uint32(len(d.records)-from+d.options-options)
	default:
		d.t.Fatalf("version %d", version)
	}
	if sequence != d.sequence {
		d.t.Errorf("%s: sequence %d, want %d", d.cfg.Name, sequence, d.sequence)
	}
	d.sequence += step
	return d.records[from:]
}

func (d *decoded) check(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatalf("%s: %v", d.cfg.Name, err)
	}
}

func (d *decoded) v5(p *netflowlegacy.PacketNetFlowV5) {
	boot := int64(p.UnixSecs)*1e9 + int64(p.UnixNSecs) - int64(p.SysUptime)*1e6
	for i := range p.Records {
		r := &p.Records[i]
		k := flow.Key{Proto: r.Proto}
		k.Src = flow.Endpoint{Addr: v4(uint32(r.SrcAddr)), Port: r.SrcPort}
		k.Dst = flow.Endpoint{Addr: v4(uint32(r.DstAddr)), Port: r.DstPort}
		// Signed differences, so that a wrap of sysUptime between flow and export is none.
		start := boot + (int64(p.SysUptime)+int64(int32(r.First-p.SysUptime)))*1e6
		end := boot + (int64(p.SysUptime)+int64(int32(r.Last-p.SysUptime)))*1e6
		d.records = append(d.records, Record{
			Key: k, Packets: uint64(r.DPkts), Bytes: uint64(r.DOctets), Start: start, End: end,
			In: uint32(r.Input), Out: uint32(r.Output), TOS: r.Tos, Flags: r.TCPFlags,
		})
	}
}

func v4(n uint32) flow.Addr { return flow.AddrFrom(binary.BigEndian.AppendUint32(nil, n)) }

func (d *decoded) sets(sets []any) {
	for _, s := range sets {
		switch s := s.(type) {
		case netflow.DataFlowSet:
			for _, r := range s.Records {
				d.records = append(d.records, d.record(r.Values))
			}
		case netflow.OptionsDataFlowSet:
			d.options += len(s.Records)
		}
	}
}

// record reads one template record.
func (d *decoded) record(values []netflow.DataField) (r Record) {
	for _, v := range values {
		b := v.Value.([]byte)
		n := number(b)
		switch v.Type {
		case elSrc4, elSrc6:
			r.Key.Src.Addr = flow.AddrFrom(b)
		case elDst4, elDst6:
			r.Key.Dst.Addr = flow.AddrFrom(b)
		case elSrcPort:
			r.Key.Src.Port = uint16(n)
		case elDstPort:
			r.Key.Dst.Port += uint16(n)
		case elICMP, elICMP6:
			r.Key.Dst.Port += uint16(n)
		case elProto:
			r.Key.Proto = uint8(n)
		case elBytes:
			r.Bytes = n
		case elPackets:
			r.Packets = n
		case elTOS:
			r.TOS = uint8(n)
		case elFlags:
			r.Flags = uint8(n)
		case elIn:
			r.In = uint32(n)
		case elOut:
			r.Out = uint32(n)
		case elDirection:
			r.Egress = n == 1
		case elEndReason:
			r.Reason = uint8(n)
		case elFirstUp:
			r.Start = d.cfg.clock(d.cfg.Boot + int64(n)*1e6)
		case elLastUp:
			r.End = d.cfg.clock(d.cfg.Boot + int64(n)*1e6)
		case elStartMilli:
			r.Start = int64(n) * 1e6
		case elEndMilli:
			r.End = int64(n) * 1e6
		default:
			d.t.Errorf("element %d was not expected", v.Type)
		}
	}
	return r
}

func number(b []byte) (n uint64) {
	for _, x := range b {
		n = n<<8 | uint64(x)
	}
	return n
}

// played is a scenario's output, decoded.
type played struct {
	summary   *Summary
	truths    []Truth
	exporters []*decoded
	raw       []byte // all datagrams with their times, end to end
}

func playAll(t *testing.T, s Scenario) *played {
	t.Helper()
	p := &played{}
	configs := s.Exporters()
	for i := range configs {
		p.exporters = append(p.exporters, newDecoded(t, &configs[i]))
	}
	last := int64(0)
	var err error
	p.summary, err = s.Run(Output{
		Datagram: func(d Datagram) error {
			if d.At < last {
				t.Errorf("datagram at %d after one at %d", d.At, last)
			}
			last = d.At
			p.exporters[d.Exporter].take(d.Payload)
			p.raw = binary.BigEndian.AppendUint64(p.raw, uint64(d.At))
			p.raw = append(p.raw, d.Payload...)
			return nil
		},
		Truth: func(c *Truth) error {
			p.truths = append(p.truths, *c)
			p.raw = c.AppendJSON(p.raw)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}
