package rows

import flowv1 "github.com/flowledger/flowledger/proto/flow/v1"

// each makes an array field reporters.<name> with one value per reporter.
func each[R interface{ GetReporters() []*flowv1.Reporter }, V any](name string, value func(*flowv1.Reporter) V) field[R] {
	return list("reporters."+name, func(dst []V, r R) []V {
		for _, rep := range r.GetReporters() {
			dst = append(dst, value(rep))
		}
		return dst
	})
}

// eachSet is each for a column that may be left out of a block where all
// reporters of all rows have its default: ClickHouse fills such arrays up.
func eachSet[R interface{ GetReporters() []*flowv1.Reporter }, V comparable](name string, value func(*flowv1.Reporter) V) field[R] {
	return &optionalArray[R, V]{array: each[R](name, value).(*array[R, V])}
}

// optionalArray is an array column that is left out while all it holds is zero.
type optionalArray[R any, V comparable] struct{ *array[R, V] }

func (o *optionalArray[R, V]) column(rows int) (Column, bool) {
	var zero V
	for _, v := range o.flat {
		if v != zero {
			return o.array.column(rows)
		}
	}
	return Column{}, false
}

func whoFields[R interface{ GetReporters() []*flowv1.Reporter }]() []field[R] {
	type P = *flowv1.Reporter
	return []field[R]{
		each[R]("sampler_address", func(p P) [16]byte { return addr(p.SamplerAddress) }),
		eachSet[R]("observation_domain_id", func(p P) uint32 { return p.ObservationDomainId }),
		eachSet[R]("direction", func(p P) int8 { return enum(p.Direction, flowv1.Direction_name) }),
		eachSet[R]("type", func(p P) int8 { return enum(p.Type, flowv1.FlowType_name) }),
		eachSet[R]("in_if", func(p P) uint32 { return p.InIf }),
		eachSet[R]("out_if", func(p P) uint32 { return p.OutIf }),
	}
}

// flowReporterFields are the views of a flow's other observation points.
func flowReporterFields() []field[*flowv1.Flow] {
	type F = *flowv1.Flow
	type P = *flowv1.Reporter
	return append(whoFields[F](),
		eachSet[F]("bytes", func(p P) uint64 { return p.Bytes }),
		eachSet[F]("packets", func(p P) uint64 { return p.Packets }),
		eachSet[F]("sampling_rate", func(p P) uint64 { return p.SamplingRate }),
		eachSet[F]("time_flow_start", func(p P) Time { return timeOf(p.TimeFlowStartNs) }),
		eachSet[F]("time_flow_end", func(p P) Time { return timeOf(p.TimeFlowEndNs) }),
		eachSet[F]("next_hop", func(p P) [16]byte { return addr(p.NextHop) }),
		eachSet[F]("src_as", func(p P) uint32 { return p.SrcAs }),
		eachSet[F]("dst_as", func(p P) uint32 { return p.DstAs }),
		eachSet[F]("ip_tos", func(p P) uint8 { return uint8(p.IpTos) }),
		eachSet[F]("tcp_flags", func(p P) uint16 { return uint16(p.TcpFlags) }),
		eachSet[F]("vlan_id", func(p P) uint32 { return p.VlanId }),
		eachSet[F]("application", func(p P) string { return text(p.Application) }),
		eachSet[F]("user", func(p P) string { return text(p.User) }),
		eachSet[F]("firewall_rule", func(p P) string { return text(p.FirewallRule) }),
		eachSet[F]("firewall_event", func(p P) uint8 { return uint8(p.FirewallEvent) }),
		eachSet[F]("forwarding_status", func(p P) uint32 { return p.ForwardingStatus }),
		eachSet[F]("post_src_addr", func(p P) [16]byte { return addr(p.PostSrcAddr) }),
		eachSet[F]("post_src_port", func(p P) uint16 { return uint16(p.PostSrcPort) }),
		eachSet[F]("post_dst_addr", func(p P) [16]byte { return addr(p.PostDstAddr) }),
		eachSet[F]("post_dst_port", func(p P) uint16 { return uint16(p.PostDstPort) }),
		eachSet[F]("http_host", func(p P) string { return text(p.HttpHost) }),
		eachSet[F]("http_url", func(p P) string { return text(p.HttpUrl) }),
		eachSet[F]("dns_name", func(p P) string { return text(p.DnsName) }),
		eachSet[F]("record_id", func(p P) uint64 { return p.RecordId }),
	)
}
