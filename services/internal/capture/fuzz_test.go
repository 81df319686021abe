package capture

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/gopacket/gopacket/layers"
)

// FuzzPacket reads arbitrary packets of every link type: nothing panics, and a
// payload lies within its packet.
func FuzzPacket(f *testing.F) {
	f.Add(uint16(1), frame(0x0800, []uint16{0x8100}, udp4(f, export("x"))))
	f.Add(uint16(101), udp6(f, export("x")))
	for _, p := range split4(udp4(f, export("a longer payload in two fragments")), 32) {
		f.Add(uint16(101), p)
	}
	for _, b := range captured(f) {
		for at := 24; at+16 <= len(b); { // little-endian pcap
			length := int(binary.LittleEndian.Uint32(b[at+8:]))
			f.Add(uint16(binary.LittleEndian.Uint32(b[20:])), b[at+16:at+16+length])
			at += 16 + length
		}
	}
	f.Fuzz(func(t *testing.T, link uint16, b []byte) {
		var st Stats
		var frags fragments
		for range 2 {
			var out Datagram
			d := dissector{out: &out, fragments: &frags, stats: &st}
			if d.link(layers.LinkType(link), b) == isDatagram && len(out.Payload) > maxPacket && len(out.Payload) > len(b) {
				t.Errorf("a payload of %d bytes out of a packet of %d", len(out.Payload), len(b))
			}
		}
	})
}

// captured are the captures that others collected, where they are.
func captured(f *testing.F) (all [][]byte) {
	f.Helper()
	paths, _ := filepath.Glob("../../../../shared/data/captures/*.pcap")
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

// FuzzFile reads arbitrary files: nothing panics or hangs, and all packets are
// accounted for.
func FuzzFile(f *testing.F) {
	f.Add(pcapBytes(f, layers.LinkTypeRaw, packet{at: 1, data: udp4(f, export("x"))}))
	f.Add(gz(f, pcapBytes(f, layers.LinkTypeEthernet, packet{at: 1, data: frame(0x0800, nil, udp4(f, export("x")))})))
	f.Add(pcapngBytes(f, frame(0x0800, nil, udp4(f, export("x"))), udp4(f, export("y"))))
	for _, b := range captured(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Open([]string{path}, Options{})
		if err != nil {
			return
		}
		defer r.Close()
		var last uint64
		for {
			d, err := r.Next()
			if err != nil {
				break
			}
			if d.Time < last {
				t.Errorf("time falls from %d to %d", last, d.Time)
			}
			last = d.Time
		}
		st := r.Stats()
		if sum := st.Datagrams + st.Fragments + st.NotUDP + st.NotExport + st.Malformed + st.UnknownLink; sum != st.Packets {
			t.Errorf("%d of %d packets are accounted for: %+v", sum, st.Packets, st)
		}
	})
}
