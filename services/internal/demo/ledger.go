package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// ledger asks the ledger over HTTP, as curl would.
type ledger struct {
	url    string
	client *http.Client
}

func newLedger(addr string) *ledger {
	q := url.Values{
		"database": {"ledger"}, "default_format": {"JSONEachRow"},
		"output_format_json_quote_64bit_integers": {"0"},
	}
	return &ledger{url: "http://" + addr + "/?" + q.Encode(), client: &http.Client{Timeout: 30 * time.Second}}
}

// query appends the answer's rows to what rows points at, a slice of structs.
func query[T any](ctx context.Context, l *ledger, sql string, params map[string]string) ([]T, error) {
	u := l.url
	for name, value := range params {
		u += "&param_" + name + "=" + url.QueryEscape(value)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u, strings.NewReader(sql))
	if err != nil {
		return nil, fmt.Errorf("cannot ask the ledger: %w", err)
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("cannot ask the ledger: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("cannot read the ledger's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the ledger refuses %q: %s", sql, bytes.TrimSpace(body))
	}
	var rows []T
	for dec := json.NewDecoder(bytes.NewReader(body)); ; {
		var row T
		if err := dec.Decode(&row); errors.Is(err, io.EOF) {
			return rows, nil
		} else if err != nil {
			return nil, fmt.Errorf("cannot read the ledger's answer to %q: %w", sql, err)
		}
		rows = append(rows, row)
	}
}

// conversation is a row of biflows.
type conversation struct {
	ID            string     `json:"id"`
	Proto         uint8      `json:"proto"`
	Client        netip.Addr `json:"client_addr"`
	ClientPort    uint16     `json:"client_port"`
	Server        netip.Addr `json:"server_addr"`
	ServerPort    uint16     `json:"server_port"`
	ClientBytes   uint64     `json:"client_bytes"`
	ServerBytes   uint64     `json:"server_bytes"`
	ClientPackets uint64     `json:"client_packets"`
	ServerPackets uint64     `json:"server_packets"`
	Start         int64      `json:"start"`
	End           int64      `json:"end"`
	State         string     `json:"conn_state"`
	Evidence      string     `json:"initiator_evidence"`
	Exporters     uint64     `json:"exporters"`
}

// conversations are all that were opened since a time, each in its last version.
func (l *ledger) conversations(ctx context.Context, since time.Time) ([]conversation, error) {
	rows, err := query[conversation](ctx, l, `
SELECT toString(flow_id) AS id, proto, client_addr, client_port, server_addr, server_port,
       client_bytes, server_bytes, client_packets, server_packets,
       toUnixTimestamp64Nano(time_flow_start) AS start, toUnixTimestamp64Nano(time_flow_end) AS end,
       conn_state, initiator_evidence, length(arrayDistinct(reporters.sampler_address)) AS exporters
FROM biflows FINAL WHERE time_opened >= fromUnixTimestamp64Nano({since:Int64})`, sinceParam(since))
	for i := range rows {
		rows[i].Client, rows[i].Server = rows[i].Client.Unmap(), rows[i].Server.Unmap()
	}
	return rows, err
}

// alert is a row of alerts.
type alert struct {
	UID      string     `json:"uid"`
	Rule     string     `json:"rule"`
	Host     netip.Addr `json:"host"`
	Message  string     `json:"message"`
	Severity uint8      `json:"severity_id"`
	Last     int64      `json:"last"`
	Time     int64      `json:"at"`
}

// alerts are the findings since a time, each in its last version.
func (l *ledger) alerts(ctx context.Context, since time.Time) ([]alert, error) {
	rows, err := query[alert](ctx, l, `
SELECT uid, rule, host, message, severity_id,
       toUnixTimestamp64Nano(time_last) AS last, toUnixTimestamp64Nano(time) AS at
FROM alerts FINAL WHERE time >= fromUnixTimestamp64Nano({since:Int64}) ORDER BY at, uid`, sinceParam(since))
	for i := range rows {
		rows[i].Host = rows[i].Host.Unmap()
	}
	return rows, err
}

// reports is how many of the exporters' records the flows since a time are made
// of: the authorities' and those that were merged in.
func (l *ledger) reports(ctx context.Context, since time.Time) (uint64, error) {
	rows, err := query[struct {
		Reports uint64 `json:"reports"`
	}](ctx, l, `
SELECT uniqExact(arrayJoin(arrayPushBack(reporters.record_id, record_id))) AS reports
FROM flows WHERE time_received >= fromUnixTimestamp64Nano({since:Int64})`, sinceParam(since))
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	return rows[0].Reports, nil
}

// reception is when the first datagram about a conversation was received.
type reception struct {
	Proto    uint8      `json:"proto"`
	A        netip.Addr `json:"a"`
	APort    uint16     `json:"ap"`
	B        netip.Addr `json:"b"`
	BPort    uint16     `json:"bp"`
	Received int64      `json:"received"`
}

// receptions are those of all conversations since a time.
func (l *ledger) receptions(ctx context.Context, since time.Time) ([]reception, error) {
	return query[reception](ctx, l, `
SELECT proto, src_addr AS a, src_port AS ap, dst_addr AS b, dst_port AS bp,
       min(toUnixTimestamp64Nano(time_received)) AS received
FROM flows WHERE time_received >= fromUnixTimestamp64Nano({since:Int64})
GROUP BY proto, a, ap, b, bp`, sinceParam(since))
}

// sinceParam allows for exporters whose clocks are a little behind.
func sinceParam(since time.Time) map[string]string {
	return map[string]string{"since": fmt.Sprint(since.Add(-5 * time.Second).UnixNano())}
}
