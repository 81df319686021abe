package simulate

import (
	"fmt"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// reportsPerDatagram is about what a datagram of NetFlow v9 holds.
const reportsPerDatagram = 24

// reports makes reports as ingest would, without the way over an export
// protocol: for tests of what comes after. Times are those of IPFIX, whole
// milliseconds.
type reports struct {
	cfg   *ExporterConfig
	index int
	buf   []byte
	count uint64 // records in buf
	sent  uint64 // batches before it
	flow  flowv1.Flow
}

func newReports(cfg *ExporterConfig, index int) *reports {
	return &reports{cfg: cfg, index: index}
}

// describe returns nil: reports tell all themselves.
func (e *reports) describe(int64) []byte { return nil }

func (e *reports) add(r *Record) bool {
	e.fill(&e.flow, r)
	pair := e.flow.RecordId
	if r.Back.Packets > 0 {
		e.flow.PairId = pair
	}
	e.buf = flow.AppendDelimited(e.buf, &e.flow)
	e.count++
	if r.Back.Packets > 0 {
		e.fill(&e.flow, r.back())
		e.flow.PairId = pair
		e.buf = flow.AppendDelimited(e.buf, &e.flow)
		e.count++
	}
	return e.count >= reportsPerDatagram
}

func (e *reports) flush(int64) []byte {
	out := e.buf
	e.buf, e.count = e.buf[:0], 0
	e.sent++
	return out
}

// fill makes the report of a record.
func (e *reports) fill(f *flowv1.Flow, r *Record) {
	x := e.cfg
	*f = flowv1.Flow{
		Type: flowv1.FlowType_FLOW_TYPE_IPFIX, SamplerAddress: x.Addr.AsSlice(), ObservationDomainId: x.Domain,
		SrcAddr: r.Key.Src.Addr.Wire(), DstAddr: r.Key.Dst.Addr.Wire(), Proto: uint32(r.Key.Proto),
		SrcPort: uint32(r.Key.Src.Port), DstPort: uint32(r.dstPort()),
		IcmpType: uint32(r.icmp() >> 8), IcmpCode: uint32(r.icmp() & 0xff),
		Bytes: r.Bytes, Packets: r.Packets, TcpFlags: uint32(r.Flags), IpTos: uint32(r.TOS),
		InIf: r.In, OutIf: r.Out, FlowEndReason: uint32(r.Reason), Direction: flowv1.Direction_DIRECTION_INGRESS,
		TimeFlowStartNs: milliseconds(x.clock(r.Start)), TimeFlowEndNs: milliseconds(x.clock(r.End)),
		TimeQuality: flowv1.TimeQuality_TIME_QUALITY_ABSOLUTE, ReverseObservable: x.TwoWay,
		ActiveTimeoutMs: uint32(x.Active.Milliseconds()), InactiveTimeoutMs: uint32(x.Inactive.Milliseconds()),
		SamplingRate: uint64(max(1, x.Sampling)), SamplingKind: flowv1.SamplingKind_SAMPLING_KIND_NONE,
		RecordId: uint64(e.index+1)<<48 | e.sent<<16 | e.count,
	}
	if x.Sampling > 1 {
		f.SamplingKind = flowv1.SamplingKind_SAMPLING_KIND_PACKET
	}
	if r.Egress {
		f.Direction = flowv1.Direction_DIRECTION_EGRESS
	}
	if x.NAT {
		f.PostSrcAddr, f.PostDstAddr = r.Post.Src.Addr.Wire(), r.Post.Dst.Addr.Wire()
		f.PostSrcPort, f.PostDstPort = uint32(r.Post.Src.Port), uint32(r.Post.Dst.Port)
	}
}

// milliseconds cuts a time to whole milliseconds, still in nanoseconds.
func milliseconds(t int64) uint64 { return uint64(t / 1e6 * 1e6) }

// DecodeReports reads the reports of a datagram of the protocol Reports, as
// received when it arrived.
func DecodeReports(d Datagram) (flows []*flowv1.Flow, err error) {
	for rest := d.Payload; len(rest) > 0; {
		var msg []byte
		if msg, rest, err = flow.Next(rest); err != nil {
			return flows, fmt.Errorf("cannot read reports: %w", err)
		}
		f := new(flowv1.Flow)
		if err := f.UnmarshalVT(msg); err != nil {
			return flows, fmt.Errorf("cannot read a report: %w", err)
		}
		f.TimeReceivedNs = uint64(d.At)
		flows = append(flows, f)
	}
	return flows, nil
}
