package rows

import flowv1 "github.com/flowledger/flowledger/proto/flow/v1"

// side is a conversation from the view of one end: a row of host_biflows.
type side struct {
	*flowv1.Biflow
	client bool
}

// Enum8 values of host_biflows.role.
const (
	roleClient int8 = 1
	roleServer int8 = 2
)

func (s side) role() int8 {
	if s.client {
		return roleClient
	}
	return roleServer
}

// pick is client's where the host was the client, else server's.
func pick[V any](s side, client, server V) V {
	if s.client {
		return client
	}
	return server
}

func (s side) host() [16]byte { return addr(pick(s, s.ClientAddr, s.ServerAddr)) }
func (s side) peer() [16]byte { return addr(pick(s, s.ServerAddr, s.ClientAddr)) }

func sideFields() []field[side] {
	return []field[side]{
		col("host", side.host),
		col("time_opened", func(s side) Time { return timeOf(s.TimeOpenedNs) }),
		key("flow_id", func(s side) uint64 { return s.FlowId }),
		col("version", func(s side) uint32 { return s.Version }),
		col("role", side.role),
		col("peer", side.peer),
		col("realm", func(s side) uint32 { return s.Realm }),
		col("proto", func(s side) uint8 { return uint8(s.Proto) }),
		col("client_port", func(s side) uint16 { return uint16(s.ClientPort) }),
		col("server_port", func(s side) uint16 { return uint16(s.ServerPort) }),
		col("bytes_sent", func(s side) uint64 { return pick(s, s.ClientBytes, s.ServerBytes) }),
		col("bytes_received", func(s side) uint64 { return pick(s, s.ServerBytes, s.ClientBytes) }),
		col("packets_sent", func(s side) uint64 { return pick(s, s.ClientPackets, s.ServerPackets) }),
		col("packets_received", func(s side) uint64 { return pick(s, s.ServerPackets, s.ClientPackets) }),
		col("time_flow_start", func(s side) Time { return timeOf(s.TimeFlowStartNs) }),
		col("time_flow_end", func(s side) Time { return timeOf(s.TimeFlowEndNs) }),
		col("conn_state", func(s side) int8 { return enum(s.ConnState, flowv1.ConnState_name) }),
		col("close_reason", func(s side) int8 { return enum(s.CloseReason, flowv1.CloseReason_name) }),
		col("initiator_confidence", func(s side) float32 { return s.InitiatorConfidence }),
		col("icmp_type", func(s side) uint8 { return uint8(s.IcmpType) }),
		col("icmp_code", func(s side) uint8 { return uint8(s.IcmpCode) }),
		col("sampling_rate", func(s side) uint64 { return s.SamplingRate }),
		col("application", func(s side) string { return text(s.Application) }),
		col("http_host", func(s side) string { return text(s.HttpHost) }),
		col("dns_name", func(s side) string { return text(s.DnsName) }),
	}
}
