package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// story is a conversation with all that the ledger holds of it.
type story struct {
	biflow *flowv1.Biflow
	// segments are in order of time.
	segments []*flowv1.Flow
	// linked are the same conversation before or after translation, its
	// neighbours on the same ports, and what it continues.
	linked []*flowv1.Biflow
}

// A conversation never leaves its partition, and its id is part of the sort key,
// so both settings change how much is read and not what is found.
const biflowSettings = " SETTINGS do_not_merge_across_partitions_select_final = 1, use_skip_indexes_if_final = 1"

// Columns come as plain types: over HTTP the client cannot read an empty answer
// that has a LowCardinality column, since it expects a prefix that ClickHouse
// sends only where there are rows.
const (
	plainBiflow = "SELECT * EXCEPT time_inserted REPLACE (CAST(application AS String) AS application, CAST(user AS String) AS user, CAST(firewall_rule AS String) AS firewall_rule)"
	plainFlow   = "SELECT * EXCEPT time_inserted REPLACE (CAST(application AS String) AS application, CAST(user AS String) AS user, CAST(firewall_rule AS String) AS firewall_rule, CAST(vpc AS Map(String, String)) AS vpc)"
)

const biflowQuery = plainBiflow + " FROM biflows FINAL WHERE flow_id = {flow_id:UInt64}" + biflowSettings

// The first three conditions are the sort key of flows.
const segmentsQuery = plainFlow + ` FROM flows
WHERE time_received >= fromUnixTimestamp64Nano({received_from:Int64}, 'UTC') AND time_received <= fromUnixTimestamp64Nano({received_to:Int64}, 'UTC')
  AND least(src_addr, dst_addr) = least(toIPv6({client:String}), toIPv6({server:String}))
  AND greatest(src_addr, dst_addr) = greatest(toIPv6({client:String}), toIPv6({server:String}))
  AND realm = {realm:UInt32} AND proto = {proto:UInt8}
  AND time_flow_start <= fromUnixTimestamp64Nano({to:Int64}, 'UTC') AND time_flow_end >= fromUnixTimestamp64Nano({from:Int64}, 'UTC')
ORDER BY time_flow_start, time_flow_end, time_received, record_id`

// Each part can use the sort key but the last, which has the index of addresses.
const linkedQuery = plainBiflow + ` FROM biflows FINAL
WHERE time_opened >= fromUnixTimestamp64Nano({opened_from:Int64}, 'UTC') AND time_opened <= fromUnixTimestamp64Nano({opened_to:Int64}, 'UTC')
  AND proto = {proto:UInt8} AND flow_id != {flow_id:UInt64}
  AND time_flow_start <= fromUnixTimestamp64Nano({to:Int64}, 'UTC') AND time_flow_end >= fromUnixTimestamp64Nano({from:Int64}, 'UTC')
  AND `

const (
	sameEnds = `least(client_addr, server_addr) = least(toIPv6({client:String}), toIPv6({server:String}))
  AND greatest(client_addr, server_addr) = greatest(toIPv6({client:String}), toIPv6({server:String}))
  AND realm = {realm:UInt32} AND (client_port, server_port) IN (({client_port:UInt16}, {server_port:UInt16}), ({server_port:UInt16}, {client_port:UInt16}))`
	translated = `least(client_addr, server_addr) = least(toIPv6({post_client:String}), toIPv6({post_server:String}))
  AND greatest(client_addr, server_addr) = greatest(toIPv6({post_client:String}), toIPv6({post_server:String}))
  AND client_port = {post_client_port:UInt16} AND server_port = {post_server_port:UInt16}`
	translating = `(server_addr = toIPv6({server:String}) AND server_port = {server_port:UInt16} AND post_client_addr = toIPv6({client:String}) AND post_client_port = {client_port:UInt16}
   OR client_addr = toIPv6({client:String}) AND client_port = {client_port:UInt16} AND post_server_addr = toIPv6({server:String}) AND post_server_port = {server_port:UInt16})`
)

// receivedSlack is how far a record may be received from what the conversation's
// own times let expect: late reports come for 35 minutes by default.
const receivedSlack = 2 * time.Hour

// openSlack is how much an open conversation may have gone on since its last version.
const openSlack = 2 * time.Minute

// tellStory reads a conversation and what belongs to it; nil if the ledger knows
// no such conversation.
func tellStory(ctx context.Context, conn driver.Conn, id uint64) (*story, error) {
	ask := clickhouse.Context(ctx, clickhouse.WithParameters(clickhouse.Parameters{"flow_id": strconv.FormatUint(id, 10)}))
	newBiflow := func() *flowv1.Biflow { return new(flowv1.Biflow) }
	found, err := readRecords(ask, conn, newBiflow, biflowQuery)
	if err != nil {
		return nil, fmt.Errorf("cannot read the conversation: %w; has the ledger been made? `flowctl migrate status` tells", err)
	}
	if len(found) == 0 {
		return nil, nil
	}
	s := &story{biflow: found[0]}
	ask = clickhouse.Context(ctx, clickhouse.WithParameters(parameters(s.biflow)))
	flows, err := readRecords(ask, conn, func() *flowv1.Flow { return new(flowv1.Flow) }, segmentsQuery)
	if err != nil {
		return nil, fmt.Errorf("cannot read the segments: %w", err)
	}
	s.segments = slices.DeleteFunc(flows, func(f *flowv1.Flow) bool { return !belongs(s.biflow, f) })
	where := []string{sameEnds, translating}
	if len(s.biflow.PostClientAddr)+len(s.biflow.PostServerAddr) > 0 {
		where = append(where, translated)
	}
	for _, w := range where {
		more, err := readRecords(ask, conn, newBiflow, linkedQuery+w+" ORDER BY time_opened, flow_id LIMIT 20"+biflowSettings)
		if err != nil {
			return nil, fmt.Errorf("cannot read linked conversations: %w", err)
		}
		for _, b := range more {
			if w != sameEnds || slices.ContainsFunc(keysOf(b), func(k flow.ConvKey) bool { return slices.Contains(keysOf(s.biflow), k) }) {
				s.linked = append(s.linked, b)
			}
		}
	}
	return s, nil
}

// parameters are those of the queries about one conversation.
func parameters(b *flowv1.Biflow) clickhouse.Parameters {
	ns := func(t uint64) string { return strconv.FormatUint(t, 10) }
	less := func(t uint64, d time.Duration) uint64 { return t - min(t, uint64(d)) }
	addr := func(a, otherwise []byte) string {
		if len(a) == 0 {
			a = otherwise
		}
		x := flow.AddrFrom(a)
		return x.Netip().String()
	}
	port := func(addr []byte, post, own uint32) string {
		if len(addr) == 0 && post == 0 {
			post = own
		}
		return strconv.FormatUint(uint64(post), 10)
	}
	long := time.Duration(b.TimeFlowEndNs - min(b.TimeFlowStartNs, b.TimeFlowEndNs))
	to := b.TimeFlowEndNs
	if isOpen(b) {
		to = max(to, b.TimeUpdatedNs) + uint64(openSlack)
	}
	return clickhouse.Parameters{
		"flow_id": ns(b.FlowId), "realm": ns(uint64(b.Realm)), "proto": ns(uint64(b.Proto)),
		"client": addr(b.ClientAddr, nil), "client_port": ns(uint64(b.ClientPort)),
		"server": addr(b.ServerAddr, nil), "server_port": ns(uint64(b.ServerPort)),
		"post_client": addr(b.PostClientAddr, b.ClientAddr), "post_client_port": port(b.PostClientAddr, b.PostClientPort, b.ClientPort),
		"post_server": addr(b.PostServerAddr, b.ServerAddr), "post_server_port": port(b.PostServerAddr, b.PostServerPort, b.ServerPort),
		"from": ns(b.TimeFlowStartNs), "to": ns(to),
		// The exporter's clock may be wrong: time_updated is the pipeline's own.
		"received_from": ns(less(min(b.TimeFlowStartNs, less(b.TimeUpdatedNs, long)), receivedSlack)),
		"received_to":   ns(b.TimeUpdatedNs + uint64(receivedSlack)),
		"opened_from":   ns(less(min(b.TimeOpenedNs, b.TimeFlowStartNs), 24*time.Hour)),
		"opened_to":     ns(max(b.TimeOpenedNs, to) + uint64(time.Minute)),
	}
}

func isOpen(b *flowv1.Biflow) bool {
	return b.CloseReason == flowv1.CloseReason_CLOSE_REASON_UNSPECIFIED
}

// belongs tells whether a flow between the conversation's hosts, in its time, is
// a segment of it: its key is the same, and unless it only adds reporters it
// lies within, since the conversation's times are the outermost of its segments'.
func belongs(b *flowv1.Biflow, f *flowv1.Flow) bool {
	k := flow.KeyOf(f)
	key, _ := k.Conversation()
	if !slices.Contains(keysOf(b), key) {
		return false
	}
	return f.Late || f.TimeFlowStartNs >= b.TimeFlowStartNs && (isOpen(b) || f.TimeFlowEndNs <= b.TimeFlowEndNs)
}

// keysOf is a conversation's key as the stitching makes it of flows. An ICMP
// conversation says type and code of the side that it has heard of, so there may
// be more than one.
func keysOf(b *flowv1.Biflow) []flow.ConvKey {
	f := flowv1.Flow{
		Realm: b.Realm, Proto: b.Proto, SrcAddr: b.ClientAddr, SrcPort: b.ClientPort, DstAddr: b.ServerAddr, DstPort: b.ServerPort,
		IcmpType: b.IcmpType, IcmpCode: b.IcmpCode,
	}
	key := func() flow.ConvKey {
		k := flow.KeyOf(&f)
		c, _ := k.Conversation()
		return c
	}
	keys := []flow.ConvKey{key()}
	if flow.IsICMP(uint8(b.Proto)) && b.ClientPackets == 0 && b.ClientBytes == 0 {
		// Only the server was heard of: a reply, or one that mirrors its request.
		f.SrcAddr, f.DstAddr = b.ServerAddr, b.ClientAddr
		keys = []flow.ConvKey{key()}
		if f.SrcPort = b.IcmpType<<8 | b.IcmpCode; f.SrcPort != 0 {
			keys = append(keys, key())
		}
	}
	return keys
}
