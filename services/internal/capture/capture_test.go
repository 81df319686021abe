package capture

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/klauspost/compress/zstd"

	"github.com/flowledger/flowledger/services/internal/testkit"
)

// shared is the data that came out of real exporters, beside the project.
const shared = "../../../../shared/data"

// TestSharedCaptures holds the number of datagrams of every shared capture
// against what an independent decoder found.
func TestSharedCaptures(t *testing.T) {
	table, err := os.ReadFile(testkit.Data(t, "EXPECTED.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(table)), "\n")[1:] {
		cols := strings.Split(line, "\t")
		t.Run(cols[0], func(t *testing.T) {
			want, err := strconv.Atoi(cols[1])
			if err != nil {
				t.Fatal(err)
			}
			got, st := readAll(t, Options{}, filepath.Join(shared, "captures", cols[0]))
			if len(got) != want || st.Datagrams != uint64(want) {
				t.Errorf("got %d datagrams, want %d; %+v", len(got), want, st)
			}
		})
	}
}

// seen is a datagram in a form that reads well in a diff.
type seen struct {
	Time     uint64
	Src, Dst string
	Payload  string
}

func readAll(t *testing.T, opt Options, paths ...string) ([]seen, Stats) {
	t.Helper()
	r, err := Open(paths, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var out []seen
	for {
		d, err := r.Next()
		if err == io.EOF {
			return out, r.Stats()
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, seen{d.Time, d.Src.String(), d.Dst.String(), string(d.Payload)})
	}
}

// export is an IPFIX message with one set, which says which one it is.
func export(text string) []byte {
	b := binary.BigEndian.AppendUint16(nil, 10)
	b = binary.BigEndian.AppendUint16(b, uint16(setAt+len(text)))
	b = append(b, make([]byte, 12)...)
	b = binary.BigEndian.AppendUint16(b, 256)
	b = binary.BigEndian.AppendUint16(b, uint16(4+len(text)))
	return append(b, text...)
}

// setAt is where the text begins.
const setAt = 16 + 4

var (
	v4src, v4dst = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.2")
	v6src, v6dst = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
)

// udp4 is an IPv4 packet with a datagram from port 40000 to port 9000.
func udp4(t testing.TB, payload []byte) []byte {
	ip := &layers.IPv4{Version: 4, TTL: 64, Id: 7, Protocol: layers.IPProtocolUDP, SrcIP: v4src.AsSlice(), DstIP: v4dst.AsSlice()}
	return serialize(t, ip, udpLayer(ip), gopacket.Payload(payload))
}

func udp6(t testing.TB, payload []byte) []byte {
	ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolUDP, SrcIP: v6src.AsSlice(), DstIP: v6dst.AsSlice()}
	return serialize(t, ip, udpLayer(ip), gopacket.Payload(payload))
}

func udpLayer(ip gopacket.NetworkLayer) *layers.UDP {
	u := &layers.UDP{SrcPort: 40000, DstPort: 9000}
	u.SetNetworkLayerForChecksum(ip)
	return u
}

func serialize(t testing.TB, ls ...gopacket.SerializableLayer) []byte {
	t.Helper()
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ls...); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func frame(etype uint16, tags []uint16, b []byte) []byte {
	f := make([]byte, 12)
	for _, tag := range tags {
		f = binary.BigEndian.AppendUint16(f, tag)
		f = append(f, 0, 42)
	}
	return append(binary.BigEndian.AppendUint16(f, etype), b...)
}

// packet is one record of a capture; at is in seconds.
type packet struct {
	at   int64
	data []byte
	snap int
}

func pcapBytes(t testing.TB, link layers.LinkType, packets ...packet) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := pcapgo.NewWriterNanos(&buf)
	if err := w.WriteFileHeader(65535, link); err != nil {
		t.Fatal(err)
	}
	for _, p := range packets {
		full := len(p.data)
		if p.snap > 0 {
			p.data = p.data[:p.snap]
		}
		ci := gopacket.CaptureInfo{Timestamp: time.Unix(p.at, 0), CaptureLength: len(p.data), Length: full}
		if err := w.WritePacket(ci, p.data); err != nil {
			t.Fatal(err)
		}
	}
	return buf.Bytes()
}

func write(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func gz(t testing.TB, data []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func zst(t testing.TB, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(data, nil)
}

// pcapngBytes is a pcapng file with three interfaces: Ethernet, which brings one
// packet, raw IP, which brings another, and a radio that brings the same.
func pcapngBytes(t testing.TB, ether, raw []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := pcapgo.NewNgWriter(&buf, layers.LinkTypeEthernet)
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range []layers.LinkType{layers.LinkTypeRaw, layers.LinkTypeIEEE802_11} {
		if _, err := w.AddInterface(pcapgo.NgInterface{LinkType: link, SnapLength: 65535}); err != nil {
			t.Fatal(err)
		}
	}
	for i, p := range [][]byte{ether, raw, raw} {
		ci := gopacket.CaptureInfo{Timestamp: time.Unix(5, 0), CaptureLength: len(p), Length: len(p), InterfaceIndex: i}
		if err := w.WritePacket(ci, p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func one(at int64, payload []byte) []seen {
	return []seen{{uint64(at) * 1e9, "192.0.2.1:40000", "198.51.100.2:9000", string(payload)}}
}

func TestLinkTypes(t *testing.T) {
	x := export("x")
	four, six := udp4(t, x), udp6(t, x)
	sll := append(make([]byte, 14), 0x08, 0x00)
	sll2 := append([]byte{0x08, 0x00}, make([]byte, 18)...)
	tests := []struct {
		name string
		link layers.LinkType
		data []byte
		six  bool
	}{
		{"ethernet", layers.LinkTypeEthernet, frame(0x0800, nil, four), false},
		{"ethernet, padded", layers.LinkTypeEthernet, append(frame(0x0800, nil, four), 0, 0, 0, 0), false},
		{"ethernet, IPv6", layers.LinkTypeEthernet, frame(0x86dd, nil, six), true},
		{"VLAN", layers.LinkTypeEthernet, frame(0x0800, []uint16{0x8100}, four), false},
		{"QinQ", layers.LinkTypeEthernet, frame(0x0800, []uint16{0x88a8, 0x8100}, four), false},
		{"MPLS", layers.LinkTypeEthernet, frame(0x8847, nil, append([]byte{0, 1, 0x00, 64, 0, 2, 0x01, 64}, four...)), false},
		{"PPPoE", layers.LinkTypeEthernet, frame(0x8864, nil, append([]byte{0x11, 0, 0, 1, 0, 99, 0x00, 0x21}, four...)), false},
		{"cooked", layers.LinkTypeLinuxSLL, append(sll, four...), false},
		{"cooked v2", linkSLL2, append(sll2, four...), false},
		{"raw", layers.LinkTypeRaw, four, false},
		{"raw, IPv6", layers.LinkTypeRaw, six, true},
		{"raw as BSD numbers it", 12, four, false},
		{"IPv4 only", layers.LinkTypeIPv4, four, false},
		{"IPv6 only", layers.LinkTypeIPv6, six, true},
		{"loopback", layers.LinkTypeNull, append([]byte{2, 0, 0, 0}, four...), false},
		{"loopback of OpenBSD, IPv6", layers.LinkTypeLoop, append([]byte{0, 0, 0, 24}, six...), true},
		{"PPP", layers.LinkTypePPP, append([]byte{0xff, 0x03, 0x00, 0x21}, four...), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := one(5, x)
			if tt.six {
				want[0].Src, want[0].Dst = "[2001:db8::1]:40000", "[2001:db8::2]:9000"
			}
			got, st := readAll(t, Options{}, write(t, "a.pcap", pcapBytes(t, tt.link, packet{at: 5, data: tt.data})))
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("(-got, +want)\n%s%+v", diff, st)
			}
		})
	}
}

func TestCompressedAndPcapng(t *testing.T) {
	x := export("x")
	plain := pcapBytes(t, layers.LinkTypeRaw, packet{at: 5, data: udp4(t, x)})
	ng := pcapngBytes(t, frame(0x0800, nil, udp4(t, x)), udp4(t, x))
	twice := append(one(5, x), one(5, x)...)
	tests := []struct {
		name string
		data []byte
		want []seen
		st   Stats
	}{
		{"gzip", gz(t, plain), one(5, x), Stats{Packets: 1, Datagrams: 1}},
		{"zstd", zst(t, plain), one(5, x), Stats{Packets: 1, Datagrams: 1}},
		{"pcapng with three link types", ng, twice, Stats{Packets: 3, Datagrams: 2, UnknownLink: 1}},
		{"pcapng, gzip", gz(t, ng), twice, Stats{Packets: 3, Datagrams: 2, UnknownLink: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, st := readAll(t, Options{}, write(t, "a", tt.data))
			if diff := cmp.Diff(got, tt.want); diff != "" {
				t.Errorf("(-got, +want)\n%s", diff)
			}
			if diff := cmp.Diff(st, tt.st); diff != "" {
				t.Errorf("(-got, +want)\n%s", diff)
			}
		})
	}
}

func TestCounted(t *testing.T) {
	x := export("hello, world")
	whole := udp4(t, x)
	tcp := bytes.Clone(whole)
	tcp[9] = 6
	dns := append([]byte{0, 10, 1, 0}, make([]byte, 40)...)
	bad := bytes.Clone(whole)
	bad[0] = 0x42
	path := write(t, "a.pcap", pcapBytes(t, layers.LinkTypeRaw,
		packet{at: 9, data: whole},
		packet{at: 7, data: whole, snap: len(whole) - 12},
		packet{at: 9, data: tcp},
		packet{at: 9, data: udp4(t, dns)},
		packet{at: 9, data: bad},
	))
	got, st := readAll(t, Options{}, path)
	want := append(one(9, x), one(9, x[:setAt])...)
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("(-got, +want)\n%s", diff)
	}
	if diff := cmp.Diff(st, Stats{Packets: 5, Datagrams: 2, NotUDP: 1, NotExport: 1, Malformed: 1, Truncated: 1, BackInTime: 1}); diff != "" {
		t.Errorf("(-got, +want)\n%s", diff)
	}
	if got, _ := readAll(t, Options{Ports: []uint16{9000}}, path); len(got) != 3 {
		t.Errorf("by port: got %d datagrams, want 3, the DNS-like one too", len(got))
	}
	if got, _ := readAll(t, Options{Ports: []uint16{2055}}, path); len(got) != 0 {
		t.Errorf("by another port: got %d datagrams, want none", len(got))
	}
}

// TestMerge reads two captures as one: by time, the first file first.
func TestMerge(t *testing.T) {
	p := func(at int64, s string) packet { return packet{at: at, data: udp4(t, export(s))} }
	a := write(t, "a.pcap", pcapBytes(t, layers.LinkTypeRaw, p(1, "a1"), p(5, "a5"), p(3, "a3"), p(8, "a8")))
	b := write(t, "b.pcap", pcapBytes(t, layers.LinkTypeRaw, p(2, "b2"), p(5, "b5"), p(6, "b6")))
	got, _ := readAll(t, Options{}, a, b)
	var order []string
	var last uint64
	for _, d := range got {
		order = append(order, d.Payload[setAt:])
		if d.Time < last {
			t.Errorf("%s: time falls from %d to %d", d.Payload[setAt:], last, d.Time)
		}
		last = d.Time
	}
	if diff := cmp.Diff(order, []string{"a1", "b2", "a5", "a3", "b5", "b6", "a8"}); diff != "" {
		t.Errorf("(-got, +want)\n%s", diff)
	}
}

// TestCut takes all whole packets of a file that ends within one.
func TestCut(t *testing.T) {
	x := export("x")
	data := pcapBytes(t, layers.LinkTypeRaw, packet{at: 5, data: udp4(t, x)}, packet{at: 5, data: udp4(t, x)})
	for _, less := range []int{1, len(udp4(t, x)), len(udp4(t, x)) + 8} {
		for _, zip := range []bool{false, true} {
			cut := data[:len(data)-less]
			if zip {
				cut = gz(t, cut)
			}
			path := write(t, "a.pcap", cut)
			got, st := readAll(t, Options{}, path)
			if diff := cmp.Diff(got, one(5, x)); diff != "" {
				t.Errorf("cut by %d: (-got, +want)\n%s", less, diff)
			}
			if diff := cmp.Diff(st.Cut, []string{path}); diff != "" {
				t.Errorf("cut by %d: (-got, +want)\n%s", less, diff)
			}
		}
	}
	if _, st := readAll(t, Options{}, write(t, "b.pcap", data)); st.Cut != nil {
		t.Errorf("a whole file counts as cut: %v", st.Cut)
	}
}

func TestErrors(t *testing.T) {
	good := pcapBytes(t, layers.LinkTypeRaw, packet{at: 5, data: udp4(t, export("x"))})
	damaged := append(bytes.Clone(good), bytes.Repeat([]byte{0xff}, 64)...)
	tests := []struct {
		name string
		data []byte
		want []string
	}{
		{"empty", nil, []string{"is empty", "pcap or pcapng"}},
		{"text", []byte("version account-id interface-id"), []string{"no pcap or pcapng capture"}},
		{"zip", []byte("PK\x03\x04xxxx"), []string{"zip", "unpack"}},
		{"short", []byte("ab"), []string{"2 bytes"}},
		{"damaged gzip", []byte("\x1f\x8b\xff\xff\xff\xff\xff\xff\xff\xff\xff"), []string{"cannot decompress", "gzip -t"}},
		{"radio", pcapBytes(t, layers.LinkTypeIEEE802_11), []string{"link type 105", "editcap"}},
		{"damaged", damaged, []string{"packet 2", "before byte", "editcap"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, "a.pcap", tt.data)
			r, err := Open([]string{path}, Options{})
			for err == nil {
				_, err = r.Next()
			}
			if errors.Is(err, io.EOF) {
				t.Fatal("no error")
			}
			for _, want := range append(tt.want, path) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
	if _, err := Open([]string{t.TempDir()}, Options{}); err == nil || !strings.Contains(err.Error(), "folder") {
		t.Errorf("a folder: got %v", err)
	}
	if _, err := Open([]string{"/no/such.pcap"}, Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: got %v", err)
	}
}

// TestOtherFilesGoOn reads the good file to its end although the other one breaks.
func TestOtherFilesGoOn(t *testing.T) {
	good := pcapBytes(t, layers.LinkTypeRaw, packet{at: 5, data: udp4(t, export("x"))}, packet{at: 6, data: udp4(t, export("y"))})
	bad := append(pcapBytes(t, layers.LinkTypeRaw), bytes.Repeat([]byte{0xff}, 64)...)
	r, err := Open([]string{write(t, "bad.pcap", bad), write(t, "good.pcap", good)}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n, failed := 0, 0
	for {
		_, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			failed++
			continue
		}
		n++
	}
	if n != 2 || failed != 1 {
		t.Errorf("got %d datagrams and %d errors, want 2 and 1", n, failed)
	}
	if size, ok := r.Size(); !ok || r.Position() != size {
		t.Errorf("read %d of %d bytes", r.Position(), size)
	}
}

// TestLooksLikeExport goes by more than the first word on ports of all kinds.
func TestLooksLikeExport(t *testing.T) {
	payload := func(size int, words ...uint16) []byte {
		var b []byte
		for _, w := range words {
			b = binary.BigEndian.AppendUint16(b, w)
		}
		return append(b, make([]byte, max(0, size-len(b)))...)
	}
	v9 := func(id, length uint16) []byte { return payload(60, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0, id, length) }
	tests := []struct {
		name      string
		b         []byte
		usual, ok bool
	}{
		{"v5", payload(72, 5, 1), true, true},
		{"v5 of a header only", payload(24, 5, 30), true, true},
		{"v5 with an absurd count", payload(72, 5, 33152), true, false},
		{"v9 with templates", v9(0, 40), true, true},
		{"v9 with data", v9(300, 40), true, true},
		{"v9 with a reserved set", v9(77, 40), true, false},
		{"v9 with a set that is too long", v9(300, 41), true, false},
		{"IPFIX", export("x"), true, true},
		{"IPFIX longer than the datagram", export("x")[:setAt], true, false},
		{"sFlow", payload(60, 0, 5, 0, 1), true, true},
		{"sFlow without an agent", payload(60, 0, 5, 0, 9), true, false},
		{"a DNS query whose id is 5", payload(60, 5, 0x0100, 1), true, false},
		{"a DNS query whose id is 9", payload(60, 9, 0x0100, 1, 0, 0, 0, 0x0377, 0x7777, 0x0765, 0x7861, 0x6d70, 0x6c65), true, false},
		{"QUIC", payload(60, 0xc000, 1), false, false},
		{"next to nothing", []byte{0, 5}, false, false},
	}
	for _, tt := range tests {
		if got := hasExportVersion(tt.b); got != tt.usual {
			t.Errorf("%s, on a usual port: got %v", tt.name, got)
		}
		if got := looksLikeExport(tt.b, false); got != tt.ok {
			t.Errorf("%s: got %v", tt.name, got)
		}
	}
}
