package embedded_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"
)

// everything has one column of each kind of type that the ledger's tables use,
// and the usual ones beside.
type everything struct {
	U8    uint8                        `ch:"u8"`
	U16   uint16                       `ch:"u16"`
	U32   uint32                       `ch:"u32"`
	U64   uint64                       `ch:"u64"`
	I64   int64                        `ch:"i64"`
	F32   float32                      `ch:"f32"`
	F64   float64                      `ch:"f64"`
	S     string                       `ch:"s"`
	FS    string                       `ch:"fs"`
	LC    string                       `ch:"lc"`
	LCN   *string                      `ch:"lcn"`
	DT    time.Time                    `ch:"dt"`
	DT9   time.Time                    `ch:"dt9"`
	V6    netip.Addr                   `ch:"v6"`
	V4    netip.Addr                   `ch:"v4"`
	E     string                       `ch:"e"`
	N     *uint32                      `ch:"n"`
	B     bool                         `ch:"b"`
	UUID  string                       `ch:"uuid"`
	A     []uint32                     `ch:"a"`
	AA    [][]string                   `ch:"aa"`
	ALC   []string                     `ch:"alc"`
	AV6   []net.IP                     `ch:"av6"`
	M     map[string]uint64            `ch:"m"`
	MLC   map[string]map[string]string `ch:"mlc"`
	T     []any                        `ch:"t"`
	NestA []string                     `ch:"nest.a"`
	NestB []uint16                     `ch:"nest.b"`
}

const everythingTable = `CREATE TABLE everything (
	u8 UInt8, u16 UInt16, u32 UInt32, u64 UInt64, i64 Int64, f32 Float32, f64 Float64,
	s String, fs FixedString(4), lc LowCardinality(String), lcn LowCardinality(Nullable(String)),
	dt DateTime, dt9 DateTime64(9), v6 IPv6, v4 IPv4,
	e Enum8('established' = 1, 'reset' = 2), n Nullable(UInt32), b Bool, uuid UUID,
	a Array(UInt32), aa Array(Array(String)), alc Array(LowCardinality(String)), av6 Array(IPv6),
	m Map(String, UInt64), mlc Map(LowCardinality(String), Map(LowCardinality(String), String)),
	t Tuple(UInt8, LowCardinality(String)), nest Nested(a LowCardinality(String), b UInt16)
) ENGINE = MergeTree ORDER BY u64`

func sample(i int) *everything {
	n, text := uint32(i), fmt.Sprintf("text %d", i)
	row := &everything{
		U8: uint8(i), U16: uint16(i * 257), U32: 1<<31 + uint32(i), U64: 1<<63 + uint64(i), I64: -int64(i),
		F32: float32(i) / 3, F64: float64(i) / 7, S: "ünï\x00" + text, FS: "abcd", LC: fmt.Sprintf("lc %d", i%300), LCN: &text,
		DT: time.Unix(1_700_000_000+int64(i), 0).UTC(), DT9: time.Unix(1_700_000_000, int64(i)*1_000_003).UTC(),
		V6: netip.MustParseAddr("2001:db8::1"), V4: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}),
		E: "reset", N: &n, B: i%2 == 0, UUID: fmt.Sprintf("00000000-0000-0000-0000-%012d", i),
		A: []uint32{n, n + 1}, AA: [][]string{{"x"}, {}, {text, "y"}}, ALC: []string{"p", text}, AV6: []net.IP{net.ParseIP("2001:db8::2")},
		M: map[string]uint64{"one": 1}, MLC: map[string]map[string]string{"k": {"l": text}},
		T: []any{uint8(i), text}, NestA: []string{"q", "r"}, NestB: []uint16{1, 2},
	}
	if i%3 == 0 { // the empty and absent forms
		row.N, row.LCN, row.A, row.AA, row.ALC, row.AV6 = nil, nil, []uint32{}, [][]string{}, []string{}, []net.IP{}
		row.M, row.MLC, row.NestA, row.NestB = map[string]uint64{}, map[string]map[string]string{}, []string{}, []uint16{}
	}
	return row
}

func TestTypesRoundTrip(t *testing.T) {
	compressions := map[string]*clickhouse.Compression{
		"none": nil,
		"lz4":  {Method: clickhouse.CompressionLZ4},
		"zstd": {Method: clickhouse.CompressionZSTD, Level: 3},
		"gzip": {Method: clickhouse.CompressionGZIP, Level: 3},
		"br":   {Method: clickhouse.CompressionBrotli, Level: 3},
	}
	for name, compression := range compressions {
		t.Run(name, func(t *testing.T) {
			conn := open(t, func(o *clickhouse.Options) { o.Compression = compression })
			run(t, conn, everythingTable)
			const rows = 1000
			insertSamples(t, conn, rows)
			var got []everything
			if err := conn.Select(t.Context(), &got, "SELECT * FROM everything ORDER BY u64"); err != nil {
				t.Fatal(err)
			}
			if len(got) != rows {
				t.Fatalf("%d rows, want %d", len(got), rows)
			}
			for i := range got {
				if diff := cmp.Diff(*sample(i), got[i], cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
					t.Fatalf("row %d (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}

func insertSamples(t testing.TB, conn clickhouse.Conn, rows int) {
	t.Helper()
	batch, err := conn.PrepareBatch(t.Context(), "INSERT INTO everything")
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		if err := batch.AppendStruct(sample(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := batch.Send(); err != nil {
		t.Fatal(err)
	}
}

// What a query that finds nothing answers must still name its columns.
func TestEmptyAnswerHasColumns(t *testing.T) {
	conn := open(t, nil)
	rows, err := conn.Query(t.Context(), "SELECT number AS n, toLowCardinality('x') AS s FROM numbers(3) WHERE n > 5")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	if diff := cmp.Diff([]string{"n", "s"}, rows.Columns()); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	if rows.Next() {
		t.Error("a row of an empty answer")
	}
}

// An answer of many blocks arrives whole.
func TestManyBlocks(t *testing.T) {
	conn := open(t, nil)
	rows, err := conn.Query(t.Context(), "SELECT number, toString(number % 7)::LowCardinality(String) FROM numbers(300000)")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var n, next uint64
	var s string
	for ; rows.Next(); next++ {
		if err := rows.Scan(&n, &s); err != nil {
			t.Fatal(err)
		}
		if n != next || s != fmt.Sprint(n%7) {
			t.Fatalf("row %d: %d %q", next, n, s)
		}
	}
	if err := rows.Err(); err != nil || next != 300000 {
		t.Errorf("%d rows, %v", next, err)
	}
}
