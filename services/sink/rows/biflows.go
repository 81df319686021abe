package rows

import flowv1 "github.com/flowledger/flowledger/proto/flow/v1"

// Biflows builds tables biflows, host_biflows and first_seen from topic
// biflows. Of several versions of one conversation between two Takes only the
// last is kept: the ones before would be replaced by it anyway.
type Biflows struct {
	biflows   table[*flowv1.Biflow]
	hosts     table[side]
	firstSeen table[contact]
	record    *flowv1.Biflow
	rows      map[uint64]biflowRow
	contacts  []contact // by row of biflows
	taken     bool
}

// biflowRow is where a conversation stands in the open blocks.
type biflowRow struct {
	row, host int
	version   uint32
}

// NewBiflows makes an empty builder.
func NewBiflows() *Biflows {
	return &Biflows{
		biflows:   table[*flowv1.Biflow]{name: "biflows", fields: append(biflowFields(), whoFields[*flowv1.Biflow]()...)},
		hosts:     table[side]{name: "host_biflows", fields: sideFields()},
		firstSeen: table[contact]{name: "first_seen", fields: contactFields()},
		record:    new(flowv1.Biflow),
		rows:      make(map[uint64]biflowRow),
	}
}

// Append implements Builder.
func (b *Biflows) Append(_, value []byte) (int, error) {
	if b.taken {
		b.reset()
	}
	return eachRecord(b.record, value, b.add)
}

func (b *Biflows) add() {
	f := b.record
	at, seen := b.rows[f.FlowId]
	if seen && f.Version < at.version {
		return
	}
	if !seen {
		at.row, at.host = b.biflows.rows, b.hosts.rows
		b.contacts = append(b.contacts, contact{})
	}
	at.version = f.Version
	b.rows[f.FlowId] = at
	b.biflows.put(at.row, f)
	b.contacts[at.row] = contactOf(f)
	client := side{Biflow: f, client: true}
	b.hosts.put(at.host, client)
	// A host that talks to itself has one row: both would have the same key.
	if client.host() != client.peer() {
		b.hosts.put(at.host+1, side{Biflow: f})
	}
}

// Rows implements Builder.
func (b *Biflows) Rows() int {
	if b.taken {
		return 0
	}
	return b.hosts.rows
}

// Take implements Builder.
func (b *Biflows) Take() []Block {
	if b.Rows() == 0 {
		return nil
	}
	b.taken = true
	addContacts(&b.firstSeen, b.contacts)
	return []Block{b.biflows.block(), b.hosts.block(), b.firstSeen.block()}
}

func (b *Biflows) reset() {
	b.biflows.reset()
	b.hosts.reset()
	b.firstSeen.reset()
	clear(b.rows)
	b.contacts = b.contacts[:0]
	b.taken = false
}

func biflowFields() []field[*flowv1.Biflow] {
	type B = *flowv1.Biflow
	return []field[B]{
		col("time_opened", func(b B) Time { return timeOf(b.TimeOpenedNs) }),
		col("time_flow_start", func(b B) Time { return timeOf(b.TimeFlowStartNs) }),
		col("time_flow_end", func(b B) Time { return timeOf(b.TimeFlowEndNs) }),
		col("time_updated", func(b B) Time { return timeOf(b.TimeUpdatedNs) }),
		col("time_quality", func(b B) int8 { return enum(b.TimeQuality, flowv1.TimeQuality_name) }),
		key("flow_id", func(b B) uint64 { return b.FlowId }),
		col("version", func(b B) uint32 { return b.Version }),
		col("realm", func(b B) uint32 { return b.Realm }),
		col("proto", func(b B) uint8 { return uint8(b.Proto) }),
		col("client_addr", func(b B) [16]byte { return addr(b.ClientAddr) }),
		col("client_port", func(b B) uint16 { return uint16(b.ClientPort) }),
		col("server_addr", func(b B) [16]byte { return addr(b.ServerAddr) }),
		col("server_port", func(b B) uint16 { return uint16(b.ServerPort) }),
		col("client_bytes", func(b B) uint64 { return b.ClientBytes }),
		col("client_packets", func(b B) uint64 { return b.ClientPackets }),
		col("client_tcp_flags", func(b B) uint16 { return uint16(b.ClientTcpFlags) }),
		col("server_bytes", func(b B) uint64 { return b.ServerBytes }),
		col("server_packets", func(b B) uint64 { return b.ServerPackets }),
		col("server_tcp_flags", func(b B) uint16 { return uint16(b.ServerTcpFlags) }),
		col("new_client_bytes", func(b B) uint64 { return b.NewClientBytes }),
		col("new_client_packets", func(b B) uint64 { return b.NewClientPackets }),
		col("new_server_bytes", func(b B) uint64 { return b.NewServerBytes }),
		col("new_server_packets", func(b B) uint64 { return b.NewServerPackets }),
		col("initiator_evidence", func(b B) int8 { return enum(b.InitiatorEvidence, flowv1.InitiatorEvidence_name) }),
		col("initiator_confidence", func(b B) float32 { return b.InitiatorConfidence }),
		col("direction_revised", func(b B) bool { return b.DirectionRevised }),
		col("direction_conflict", func(b B) bool { return b.DirectionConflict }),
		col("conn_state", func(b B) int8 { return enum(b.ConnState, flowv1.ConnState_name) }),
		col("close_reason", func(b B) int8 { return enum(b.CloseReason, flowv1.CloseReason_name) }),
		col("icmp_type", func(b B) uint8 { return uint8(b.IcmpType) }),
		col("icmp_code", func(b B) uint8 { return uint8(b.IcmpCode) }),
		col("segments", func(b B) uint32 { return b.Segments }),
		col("sampling_rate", func(b B) uint64 { return b.SamplingRate }),
		col("sampling_kind", func(b B) int8 { return enum(b.SamplingKind, flowv1.SamplingKind_name) }),
		col("packets_unknown", func(b B) bool { return b.PacketsUnknown }),
		col("application", func(b B) string { return text(b.Application) }),
		col("user", func(b B) string { return text(b.User) }),
		col("http_host", func(b B) string { return text(b.HttpHost) }),
		col("http_url", func(b B) string { return text(b.HttpUrl) }),
		col("dns_name", func(b B) string { return text(b.DnsName) }),
		col("post_client_addr", func(b B) [16]byte { return addr(b.PostClientAddr) }),
		col("post_client_port", func(b B) uint16 { return uint16(b.PostClientPort) }),
		col("post_server_addr", func(b B) [16]byte { return addr(b.PostServerAddr) }),
		col("post_server_port", func(b B) uint16 { return uint16(b.PostServerPort) }),
		col("prev_flow_id", func(b B) uint64 { return b.PrevFlowId }),
		col("firewall_rule", func(b B) string { return text(b.FirewallRule) }),
	}
}
