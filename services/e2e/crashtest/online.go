package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// online reads the ledger out of ClickHouse.
func online(ctx context.Context, db driver.Conn) (*ledger, error) {
	l := &ledger{biflows: make(map[uint64]string), alerts: make(map[string]string)}
	if err := l.readBiflows(ctx, db); err != nil {
		return nil, fmt.Errorf("cannot read biflows: %w", err)
	}
	if err := l.readAlerts(ctx, db); err != nil {
		return nil, fmt.Errorf("cannot read alerts: %w", err)
	}
	var rows, distinct uint64
	err := db.QueryRow(ctx, `SELECT count(), uniqExact(record_id, late, reporters.sampler_address, time_flow_start) FROM flows`).Scan(&rows, &distinct)
	if err != nil {
		return nil, fmt.Errorf("cannot count flows: %w", err)
	}
	l.flows, l.twice = int(distinct), int(rows-distinct)
	return l, nil
}

func (l *ledger) readBiflows(ctx context.Context, db driver.Conn) error {
	rows, err := db.Query(ctx, `SELECT flow_id, version, realm, proto, client_addr, client_port, server_addr, server_port,
		client_bytes, client_packets, client_tcp_flags, server_bytes, server_packets, server_tcp_flags,
		time_flow_start, time_flow_end, time_opened, time_updated, toString(initiator_evidence), initiator_confidence,
		toString(conn_state), toString(close_reason), icmp_type, icmp_code, segments, length(reporters.sampler_address)
		FROM biflows FINAL`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		b, err := scanBiflow(rows)
		if err != nil {
			return err
		}
		l.biflows[b.FlowId] = biflowLine(b)
	}
	return rows.Err()
}

// scanBiflow reads a row back into what it was made of, so that both sides of
// the comparison are written down by the same function.
func scanBiflow(rows driver.Rows) (*flowv1.Biflow, error) {
	var (
		b                               flowv1.Biflow
		proto, icmpType, icmpCode       uint8
		clientPort, serverPort          uint16
		clientFlags, serverFlags        uint16
		client, server                  net.IP
		start, end, opened, updated     time.Time
		evidence, connState, closeState string
		reporters                       uint64
	)
	if err := rows.Scan(&b.FlowId, &b.Version, &b.Realm, &proto, &client, &clientPort, &server, &serverPort,
		&b.ClientBytes, &b.ClientPackets, &clientFlags, &b.ServerBytes, &b.ServerPackets, &serverFlags,
		&start, &end, &opened, &updated, &evidence, &b.InitiatorConfidence, &connState, &closeState,
		&icmpType, &icmpCode, &b.Segments, &reporters); err != nil {
		return nil, err
	}
	b.Proto, b.IcmpType, b.IcmpCode = uint32(proto), uint32(icmpType), uint32(icmpCode)
	b.ClientAddr, b.ClientPort, b.ClientTcpFlags = client.To16(), uint32(clientPort), uint32(clientFlags)
	b.ServerAddr, b.ServerPort, b.ServerTcpFlags = server.To16(), uint32(serverPort), uint32(serverFlags)
	b.TimeFlowStartNs, b.TimeFlowEndNs = uint64(start.UnixNano()), uint64(end.UnixNano())
	b.TimeOpenedNs, b.TimeUpdatedNs = uint64(opened.UnixNano()), uint64(updated.UnixNano())
	b.InitiatorEvidence = flowv1.InitiatorEvidence(flowv1.InitiatorEvidence_value["INITIATOR_EVIDENCE_"+strings.ToUpper(evidence)])
	b.ConnState = flowv1.ConnState(flowv1.ConnState_value["CONN_STATE_"+strings.ToUpper(connState)])
	b.CloseReason = flowv1.CloseReason(flowv1.CloseReason_value["CLOSE_REASON_"+strings.ToUpper(closeState)])
	b.Reporters = make([]*flowv1.Reporter, reporters)
	return &b, nil
}

func (l *ledger) readAlerts(ctx context.Context, db driver.Conn) error {
	rows, err := db.Query(ctx, `SELECT uid, finding FROM alerts FINAL`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var uid, finding string
		if err := rows.Scan(&uid, &finding); err != nil {
			return err
		}
		l.alerts[uid] = finding
	}
	return rows.Err()
}
