package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
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
		var (
			id                              uint64
			version, realm, segments        uint32
			proto, icmpType, icmpCode       uint8
			client, server                  net.IP
			clientPort, serverPort          uint16
			cb, cp, sb, sp, reporters       uint64
			cf, sf                          uint16
			start, end, opened, updated     time.Time
			evidence, connState, closeState string
			confidence                      float32
		)
		if err := rows.Scan(&id, &version, &realm, &proto, &client, &clientPort, &server, &serverPort, &cb, &cp, &cf, &sb, &sp, &sf,
			&start, &end, &opened, &updated, &evidence, &confidence, &connState, &closeState, &icmpType, &icmpCode, &segments, &reporters); err != nil {
			return err
		}
		stamp := func(t time.Time) string { return nanos(uint64(t.UnixNano())) }
		l.biflows[id] = fmt.Sprintf("v%d realm %d proto %d %s:%d>%s:%d client %d/%d/%#x server %d/%d/%#x %s..%s opened %s updated %s %s %d%% %s %s icmp %d/%d segments %d reporters %d",
			version, realm, proto, client, clientPort, server, serverPort, cb, cp, cf, sb, sp, sf,
			stamp(start), stamp(end), stamp(opened), stamp(updated), evidence, percent(confidence),
			connState, closeState, icmpType, icmpCode, segments, reporters)
	}
	return rows.Err()
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
