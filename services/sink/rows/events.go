package rows

import flowv1 "github.com/flowledger/flowledger/proto/flow/v1"

// Events builds table events from topic events: one row per event.
type Events struct{ single[*flowv1.Event] }

// NewEvents makes an empty builder.
func NewEvents() *Events {
	return &Events{single[*flowv1.Event]{table: table[*flowv1.Event]{name: "events", fields: eventFields()}, record: new(flowv1.Event)}}
}

func eventFields() []field[*flowv1.Event] {
	type E = *flowv1.Event
	return []field[E]{
		key("time_received", func(e E) Time { return timeOf(e.TimeReceivedNs) }),
		col("time_event", func(e E) Time { return timeOf(e.TimeEventNs) }),
		col("record_id", func(e E) uint64 { return e.RecordId }),
		col("kind", func(e E) int8 { return enum(e.Kind, flowv1.EventKind_name) }),
		col("type", func(e E) int8 { return enum(e.Type, flowv1.FlowType_name) }),
		col("sampler_address", func(e E) [16]byte { return addr(e.SamplerAddress) }),
		col("observation_domain_id", func(e E) uint32 { return e.ObservationDomainId }),
		col("sequence_num", func(e E) uint32 { return e.SequenceNum }),
		col("template_id", func(e E) uint16 { return uint16(e.TemplateId) }),
		col("realm", func(e E) uint32 { return e.Realm }),
		col("proto", func(e E) uint8 { return uint8(e.Proto) }),
		col("src_addr", func(e E) [16]byte { return addr(e.SrcAddr) }),
		col("src_port", func(e E) uint16 { return uint16(e.SrcPort) }),
		col("dst_addr", func(e E) [16]byte { return addr(e.DstAddr) }),
		col("dst_port", func(e E) uint16 { return uint16(e.DstPort) }),
		col("post_src_addr", func(e E) [16]byte { return addr(e.PostSrcAddr) }),
		col("post_src_port", func(e E) uint16 { return uint16(e.PostSrcPort) }),
		col("post_dst_addr", func(e E) [16]byte { return addr(e.PostDstAddr) }),
		col("post_dst_port", func(e E) uint16 { return uint16(e.PostDstPort) }),
		col("bytes", func(e E) uint64 { return e.Bytes }),
		col("packets", func(e E) uint64 { return e.Packets }),
		col("in_if", func(e E) uint32 { return e.InIf }),
		col("out_if", func(e E) uint32 { return e.OutIf }),
		col("icmp_type", func(e E) uint8 { return uint8(e.IcmpType) }),
		col("icmp_code", func(e E) uint8 { return uint8(e.IcmpCode) }),
		col("user", func(e E) string { return text(e.User) }),
		col("firewall_event", func(e E) uint8 { return uint8(e.FirewallEvent) }),
		col("firewall_ext_event", func(e E) uint16 { return uint16(e.FirewallExtEvent) }),
		col("firewall_rule", func(e E) string { return text(e.FirewallRule) }),
		col("nat_event", func(e E) uint8 { return uint8(e.NatEvent) }),
		col("connection_id", func(e E) uint64 { return e.ConnectionId }),
		list("attributes", func(dst []Pair, e E) []Pair { return appendPairs(dst, e.Attributes) }),
	}
}
