package rows

import flowv1 "github.com/flowledger/flowledger/proto/flow/v1"

// Flows builds table flows from topic flows.deduped: one row per flow.
type Flows struct{ single[*flowv1.Flow] }

// NewFlows makes an empty builder.
func NewFlows() *Flows {
	fields := append(flowFields(), flowDetailFields()...)
	fields = append(fields, flowReporterFields()...)
	return &Flows{single[*flowv1.Flow]{table: table[*flowv1.Flow]{name: "flows", fields: fields}, record: new(flowv1.Flow)}}
}

// flowFields are who, when and how much.
func flowFields() []field[*flowv1.Flow] {
	type F = *flowv1.Flow
	return []field[F]{
		key("time_received", func(f F) Time { return timeOf(f.TimeReceivedNs) }),
		col("time_flow_start", func(f F) Time { return timeOf(f.TimeFlowStartNs) }),
		col("time_flow_end", func(f F) Time { return timeOf(f.TimeFlowEndNs) }),
		col("time_quality", func(f F) int8 { return enum(f.TimeQuality, flowv1.TimeQuality_name) }),
		col("time_suspect", func(f F) bool { return f.TimeSuspect }),
		col("record_id", func(f F) uint64 { return f.RecordId }),
		col("realm", func(f F) uint32 { return f.Realm }),
		col("proto", func(f F) uint8 { return uint8(f.Proto) }),
		col("src_addr", func(f F) [16]byte { return addr(f.SrcAddr) }),
		col("src_port", func(f F) uint16 { return uint16(f.SrcPort) }),
		col("dst_addr", func(f F) [16]byte { return addr(f.DstAddr) }),
		col("dst_port", func(f F) uint16 { return uint16(f.DstPort) }),
		col("bytes", func(f F) uint64 { return f.Bytes }),
		col("packets", func(f F) uint64 { return f.Packets }),
		col("packets_unknown", func(f F) bool { return f.PacketsUnknown }),
		col("sampling_rate", func(f F) uint64 { return f.SamplingRate }),
		col("sampling_kind", func(f F) int8 { return enum(f.SamplingKind, flowv1.SamplingKind_name) }),
		col("tcp_flags", func(f F) uint16 { return uint16(f.TcpFlags) }),
		col("initial_tcp_flags", func(f F) uint16 { return uint16(f.InitialTcpFlags) }),
		col("icmp_type", func(f F) uint8 { return uint8(f.IcmpType) }),
		col("icmp_code", func(f F) uint8 { return uint8(f.IcmpCode) }),
		col("authority", func(f F) int8 { return enum(f.Authority, flowv1.Authority_name) }),
		col("late", func(f F) bool { return f.Late }),
		col("type", func(f F) int8 { return enum(f.Type, flowv1.FlowType_name) }),
		col("sampler_address", func(f F) [16]byte { return addr(f.SamplerAddress) }),
		col("observation_domain_id", func(f F) uint32 { return f.ObservationDomainId }),
		col("observation_point_id", func(f F) uint32 { return f.ObservationPointId }),
		col("direction", func(f F) int8 { return enum(f.Direction, flowv1.Direction_name) }),
		col("in_if", func(f F) uint32 { return f.InIf }),
		col("out_if", func(f F) uint32 { return f.OutIf }),
		col("sequence_num", func(f F) uint32 { return f.SequenceNum }),
		col("flow_end_reason", func(f F) uint8 { return uint8(f.FlowEndReason) }),
		col("active_timeout_ms", func(f F) uint32 { return f.ActiveTimeoutMs }),
		col("inactive_timeout_ms", func(f F) uint32 { return f.InactiveTimeoutMs }),
		col("reverse_observable", func(f F) bool { return f.ReverseObservable }),
		col("pair_id", func(f F) uint64 { return f.PairId }),
		col("initiator_hint", func(f F) int8 { return enum(f.InitiatorHint, flowv1.InitiatorHint_name) }),
	}
}
