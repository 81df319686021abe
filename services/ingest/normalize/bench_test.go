package normalize

import (
	"encoding/binary"
	"path/filepath"
	"testing"
)

// v9Datagram writes a v9 datagram: 24 records as a router sends them, each 49
// bytes of 19 elements, their endpoints counted up from first.
func v9Datagram(sequence, first uint32, template bool) []byte {
	fields := [][2]uint16{
		{8, 4}, {12, 4}, {15, 4}, {10, 2}, {14, 2}, {2, 4}, {1, 4}, {22, 4}, {21, 4},
		{7, 2}, {11, 2}, {6, 1}, {4, 1}, {5, 1}, {16, 4}, {17, 4}, {9, 1}, {13, 1}, {61, 1},
	}
	b := binary.BigEndian.AppendUint16(nil, 9)
	b = binary.BigEndian.AppendUint16(b, 24)
	b = binary.BigEndian.AppendUint32(b, 4_000_000)
	b = binary.BigEndian.AppendUint32(b, 1_700_000_000)
	b = binary.BigEndian.AppendUint32(b, sequence)
	b = binary.BigEndian.AppendUint32(b, 7)
	if template {
		b = binary.BigEndian.AppendUint16(b, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(8+4*len(fields)))
		b = binary.BigEndian.AppendUint16(b, 300)
		b = binary.BigEndian.AppendUint16(b, uint16(len(fields)))
		for _, f := range fields {
			b = binary.BigEndian.AppendUint16(b, f[0])
			b = binary.BigEndian.AppendUint16(b, f[1])
		}
	}
	size := 0
	for _, f := range fields {
		size += int(f[1])
	}
	b = binary.BigEndian.AppendUint16(b, 300)
	b = binary.BigEndian.AppendUint16(b, uint16(4+24*size))
	for i := range uint32(24) {
		n := first + i
		b = binary.BigEndian.AppendUint32(b, 0x0a000000|n&0xffff)
		b = binary.BigEndian.AppendUint32(b, 0xc0a80000|n*7&0xffff)
		b = binary.BigEndian.AppendUint32(b, 0x0a0000fe)
		b = append(b, 0, 3, 0, 4)
		b = binary.BigEndian.AppendUint32(b, 10+n%90)
		b = binary.BigEndian.AppendUint32(b, 1000+n)
		b = binary.BigEndian.AppendUint32(b, 3_900_000)
		b = binary.BigEndian.AppendUint32(b, 3_950_000)
		b = binary.BigEndian.AppendUint16(b, uint16(1024+n%60000))
		b = append(b, 1, 187, 0x1b, 6, 0)
		b = binary.BigEndian.AppendUint32(b, 64500)
		b = binary.BigEndian.AppendUint32(b, 64501)
		b = append(b, 24, 16, 0)
	}
	return b
}

// BenchmarkNetFlow9 is the steady state of a router's export: per record, ns and
// allocations.
func BenchmarkNetFlow9(b *testing.B) { benchmark(b, routerDatagrams(), &Result{}) }

// BenchmarkNetFlow9Encoded is that, with the flows written as they go into the log.
func BenchmarkNetFlow9Encoded(b *testing.B) { benchmark(b, routerDatagrams(), &Result{Encode: true}) }

func routerDatagrams() []Datagram {
	in := []Datagram{{Exporter: exporterAddr, ReceivedNs: 1_700_000_000e9, Payload: v9Datagram(1, 0, true)}}
	for i := range uint32(256) {
		in = append(in, Datagram{Exporter: exporterAddr, ReceivedNs: 1_700_000_000e9, Payload: v9Datagram(i, 24*i, false)})
	}
	return in
}

// BenchmarkTraffic is IPFIX of a whole network, with template refreshes.
func BenchmarkTraffic(b *testing.B) {
	needShared(b)
	benchmark(b, datagrams(b, filepath.Join(shared, "traffic", "campus_mixed.pcap.gz")), &Result{})
}

func BenchmarkSFlow(b *testing.B) {
	needShared(b)
	benchmark(b, datagrams(b, filepath.Join(shared, "captures", "sflow_1140.pcap")), &Result{})
}

// numbered writes a sequence number into a datagram, so that it is not one that
// came before.
func numbered(d Datagram, number uint32) Datagram {
	at := 12 // v9
	switch binary.BigEndian.Uint16(d.Payload) {
	case 0: // sFlow of an IPv4 agent
		at = 16
	case 5:
		at = 16
	case 10:
		at = 8
	}
	binary.BigEndian.PutUint32(d.Payload[at:], number)
	return d
}

func benchmark(b *testing.B, in []Datagram, out *Result) {
	n := New(Default())
	for _, d := range in { // learn the templates, fill the arenas
		n.Datagram(d, out)
	}
	b.ReportAllocs()
	b.ResetTimer()
	records := uint64(0)
	for i := 0; b.Loop(); i++ {
		if i%256 == 0 {
			records += out.DataRecords
			out.Reset()
		}
		n.Datagram(numbered(in[i%len(in)], uint32(i)), out)
	}
	records += out.DataRecords
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(records), "ns/record")
	b.ReportMetric(float64(records)/float64(b.N), "records/op")
}
