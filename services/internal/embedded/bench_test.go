package embedded_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/flowledger/flowledger/services/internal/embedded"
)

// biflowLike has the width and the types of the ledger's main table.
const biflowLike = `CREATE TABLE wide (
	flow_id UInt64, version UInt32, realm UInt32, proto UInt8,
	client_addr IPv6, server_addr IPv6, client_port UInt16, server_port UInt16,
	client_bytes UInt64, client_packets UInt64, server_bytes UInt64, server_packets UInt64,
	client_tcp_flags UInt8, server_tcp_flags UInt8,
	time_flow_start DateTime64(9), time_flow_end DateTime64(9),
	conn_state LowCardinality(String), close_reason LowCardinality(String), reporters Array(UInt32)
) ENGINE = ReplacingMergeTree(version) PARTITION BY toDate(time_flow_start)
ORDER BY (time_flow_start, flow_id) SETTINGS non_replicated_deduplication_window = 100`

// BenchmarkInsert is what the sink does: native blocks over HTTP, one token each.
func BenchmarkInsert(b *testing.B) {
	const rows = 100_000
	conn := open(b, func(o *clickhouse.Options) {
		o.Compression = &clickhouse.Compression{Method: clickhouse.CompressionLZ4}
	})
	run(b, conn, biflowLike)
	sent := 0
	for b.Loop() {
		batch, err := conn.PrepareBatch(withToken(b.Context(), strconv.Itoa(sent)), "INSERT INTO wide")
		if err != nil {
			b.Fatal(err)
		}
		for i := range rows {
			n := uint64(sent + i)
			addr := netip.AddrFrom16([16]byte{10: 0xff, 11: 0xff, 12: 10, 13: byte(n >> 16), 14: byte(n >> 8), 15: byte(n)})
			at := time.Unix(1_700_000_000, int64(n)*1_000_000)
			if err := batch.Append(n, uint32(1), uint32(0), uint8(6), addr, addr, uint16(n), uint16(443), n, n, n, n, uint8(27), uint8(27), at, at, "established", "fin", []uint32{1, 2}); err != nil {
				b.Fatal(err)
			}
		}
		if err := batch.Send(); err != nil {
			b.Fatal(err)
		}
		sent += rows
	}
	b.ReportMetric(float64(sent)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(rss(b), "RSS-MB")
	if n := count(b, conn, "SELECT count() FROM wide"); n != uint64(sent) {
		b.Errorf("%d rows, want %d", n, sent)
	}
}

// BenchmarkSelect reads a wide table back through the re-framing of Native.
func BenchmarkSelect(b *testing.B) {
	conn := open(b, nil)
	read := 0
	for b.Loop() {
		rows, err := conn.Query(b.Context(), "SELECT number, toIPv6('::1'), toString(number), toLowCardinality('established') FROM numbers(100000)")
		if err != nil {
			b.Fatal(err)
		}
		for rows.Next() {
			read++
		}
		if err := rows.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(read)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkSmallQuery is the least that a query costs.
func BenchmarkSmallQuery(b *testing.B) {
	conn := open(b, nil)
	for b.Loop() {
		count(b, conn, "SELECT toUInt64(1)")
	}
}

// rss is the engine's resident memory in MB.
func rss(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", embedded.TestLedger(b).PID()))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(status, []byte("VmRSS:"))
	var kb float64
	if _, err := fmt.Sscanf(strings.TrimSpace(string(rest)), "%g kB", &kb); err != nil {
		b.Fatal(err)
	}
	return kb / 1024
}
