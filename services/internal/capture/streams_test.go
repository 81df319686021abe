package capture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// TestSoftflowdOverTCP reads what softflowd 1.1 sent over TCP, in six connections of a
// message each.
func TestSoftflowdOverTCP(t *testing.T) {
	got, st := readAll(t, Options{}, "testdata/softflowd_tcp.pcapng.gz")
	var lengths []int
	for _, d := range got {
		lengths = append(lengths, len(d.Payload))
		if n := len(d.Payload); n > 0 && int(binary.BigEndian.Uint16([]byte(d.Payload)[2:])) != n {
			t.Errorf("a message of %d bytes is cut wrong", n)
		}
	}
	if want := []int{452, 0, 600, 0, 536, 0, 600, 0, 872, 0, 808, 0}; !slices.Equal(lengths, want) {
		t.Errorf("messages of %v bytes, want %v; 0 is the end of a connection", lengths, want)
	}
	if diff := cmp.Diff(st, Stats{Packets: 49, Segments: 12, Messages: 6, NotUDP: 37}); diff != "" {
		t.Errorf("(-got, +want)\n%s", diff)
	}
}

// sent is one way of a connection, cut into segments.
type sent struct {
	rng      *rand.Rand
	messages []string
	segments []segment
	of       []int // the message of a segment
}

var exporterPort, collectorPort = netip.AddrPortFrom(v4src, 40000), netip.AddrPortFrom(v4dst, 9000)

// send sends messages in segments of any size; a message in each mostly begins with one.
func send(seed uint64, messages int) *sent {
	s := &sent{rng: rand.New(rand.NewPCG(seed, 0))}
	next := s.rng.Uint32() // numbers wrap
	s.segments, s.of = append(s.segments, segment{from: exporterPort, to: collectorPort, seq: next, syn: true}), append(s.of, -1)
	for i := range messages {
		m := export(fmt.Sprintf("%d %0*d", i, s.rng.IntN(900), i))
		s.messages = append(s.messages, string(m))
		for len(m) > 0 {
			n := min(len(m), 20+s.rng.IntN(700))
			s.segments = append(s.segments, segment{from: exporterPort, to: collectorPort, seq: next, data: m[:n]})
			next, m, s.of = next+uint32(n), m[n:], append(s.of, i)
		}
	}
	s.segments = append(s.segments, segment{from: exporterPort, to: collectorPort, seq: next, fin: true})
	return s
}

// read reads segments, one a millisecond, and returns the messages and how often a
// connection ended.
func read(segments []segment, opt *Options) (messages []string, ends int, st Stats) {
	var s streams
	now := uint64(1e18)
	note := func() {
		for _, m := range s.messages {
			if len(m.Payload) == 0 {
				ends++
				continue
			}
			messages = append(messages, string(m.Payload))
		}
	}
	for i := range segments {
		now += 1e6
		s.take(now, &segments[i], opt, &st)
		note()
	}
	s.flush(now, opt, &st)
	note()
	return messages, ends, st
}

// TestStreamsAreInOrder: segments that come again, overlap, or come out of turn change
// nothing.
func TestStreamsAreInOrder(t *testing.T) {
	for seed := range uint64(300) {
		s := send(seed, 40)
		body := slices.Clone(s.segments[2 : len(s.segments)-1]) // the first shows where the connection begins
		for range 20 {
			at := s.rng.IntN(len(body) - 1)
			again := body[at]
			if cut := s.rng.IntN(len(again.data)); cut > 0 { // as a sender that packs anew
				again.data, again.seq = again.data[cut:], again.seq+uint32(cut)
			}
			body = slices.Insert(body, at+1+s.rng.IntN(3)%(len(body)-at), again)
		}
		for at := 0; at < len(body); at += 6 {
			part := body[at:min(at+6, len(body))]
			s.rng.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
		}
		all := slices.Concat(s.segments[:2], body, s.segments[len(s.segments)-1:])
		got, ends, st := read(all, &Options{})
		if diff := cmp.Diff(got, s.messages); diff != "" || ends != 1 || st.Holes != 0 {
			t.Fatalf("seed %d: %d ends, %d holes (-got, +want)\n%s", seed, ends, st.Holes, diff)
		}
	}
}

// TestStreamsWithHoles: what a capture has missed costs the messages it was of, and is counted.
func TestStreamsWithHoles(t *testing.T) {
	for seed := range uint64(300) {
		s := send(seed, 40)
		at := 2 + s.rng.IntN(len(s.segments)-4)
		got, _, st := read(slices.Delete(s.segments, at, at+1), &Options{})
		want := slices.Delete(s.messages, s.of[at], s.of[at]+1)
		if diff := cmp.Diff(got, want); diff != "" || st.Holes != 1 {
			t.Fatalf("seed %d: %d holes (-got, +want)\n%s", seed, st.Holes, diff)
		}
	}
}

func TestStreamsByWhatTheyCarry(t *testing.T) {
	web := []segment{{from: exporterPort, to: collectorPort, seq: 1, data: []byte("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")}}
	middle := func(port uint16) (segments []segment) {
		x := export("the first of them is cut")
		to := netip.AddrPortFrom(v4dst, port)
		return []segment{
			{from: exporterPort, to: to, seq: 1, data: bytes.Repeat([]byte("x"), 30)},
			{from: exporterPort, to: to, seq: 31, data: x},
			{from: exporterPort, to: to, seq: 31 + uint32(len(x)), fin: true},
		}
	}
	reused := slices.Concat(send(1, 1).segments[:2], send(2, 1).segments)
	for _, c := range []struct {
		name     string
		segments []segment
		opt      Options
		messages int
		ends     int
	}{
		{"the web is no export", web, Options{}, 0, 0},
		{"captured from the middle on, to a port of exports", middle(4739), Options{}, 1, 1},
		{"captured from the middle on, to any other", middle(9000), Options{}, 0, 0},
		{"captured from the middle on, to a port asked for", middle(9000), Options{Ports: []uint16{9000}}, 1, 1},
		{"to a port not asked for", send(1, 3).segments, Options{Ports: []uint16{4739}}, 0, 0},
		{"ports used again", reused, Options{}, 2, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, ends, _ := read(c.segments, &c.opt); len(got) != c.messages || ends != c.ends {
				t.Errorf("%d messages and %d ends, want %d and %d", len(got), ends, c.messages, c.ends)
			}
		})
	}
}

// TestSegments reads TCP off IPv4 and IPv6, beside datagrams.
func TestSegments(t *testing.T) {
	x := export("over TCP")
	tcp := func(ip gopacket.NetworkLayer, l gopacket.SerializableLayer, seq uint32, fin bool, data []byte) []byte {
		h := &layers.TCP{SrcPort: 40000, DstPort: 9000, Seq: seq, ACK: true, FIN: fin, Options: []layers.TCPOption{{OptionType: layers.TCPOptionKindNop}}}
		h.SetNetworkLayerForChecksum(ip)
		return serialize(t, l, h, gopacket.Payload(data))
	}
	v4 := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: v4src.AsSlice(), DstIP: v4dst.AsSlice()}
	v6 := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolTCP, SrcIP: v6src.AsSlice(), DstIP: v6dst.AsSlice()}
	path := write(t, "a.pcap", pcapBytes(t, layers.LinkTypeRaw,
		packet{at: 1, data: tcp(v4, v4, 7, false, x[:22])},
		packet{at: 2, data: udp4(t, export("over UDP"))},
		packet{at: 3, data: tcp(v6, v6, 9, false, x)},
		packet{at: 4, data: tcp(v4, v4, 29, true, x[22:])},
	))
	r, err := Open([]string{path}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got []string
	for d, err := r.Next(); err == nil; d, err = r.Next() {
		got = append(got, fmt.Sprintf("%d %s %q %d", d.Time/1e9, d.Src, d.Payload[min(setAt, len(d.Payload)):], d.Session))
	}
	want := []string{`2 192.0.2.1:40000 "over UDP" 0`, `3 [2001:db8::1]:40000 "over TCP" 2`, `4 192.0.2.1:40000 "over TCP" 1`, `4 192.0.2.1:40000 "" 1`}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("(-got, +want)\n%s", diff)
	}
	if st := r.Stats(); st.Segments != 3 || st.Messages != 2 || st.Datagrams != 1 {
		t.Errorf("%+v", st)
	}
}

// FuzzStreams reads arbitrary segments: nothing panics, every message is whole, and what
// is kept is bounded.
func FuzzStreams(f *testing.F) {
	for seed := range uint64(3) {
		var b []byte
		for _, s := range send(seed, 3).segments {
			b = append(b, byte(len(s.data)), byte(s.seq), 0)
			b = append(b, s.data[:min(len(s.data), 255)]...)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var s streams
		var st Stats
		now := uint64(0)
		for len(b) >= 3 {
			n := min(int(b[0]), len(b)-3)
			seg := segment{from: exporterPort, to: netip.AddrPortFrom(v4dst, 4739+uint16(b[2]>>6)), seq: uint32(b[1]),
				syn: b[2]&1 != 0, fin: b[2]&2 != 0, rst: b[2]&4 != 0, data: b[3 : 3+n]}
			now += uint64(b[2]) << 24
			s.take(now, &seg, &Options{}, &st)
			for _, m := range s.messages {
				if n := len(m.Payload); n > 0 && (n < 16 || int(binary.BigEndian.Uint16(m.Payload[2:])) != n || m.Session == 0) {
					t.Fatalf("a message of %d bytes: %x", n, m.Payload)
				}
			}
			b = b[3+n:]
		}
		s.flush(now, &Options{}, &st)
		held := 0
		for _, c := range s.open {
			held += c.held
		}
		if held != s.held {
			t.Errorf("%d bytes are said to be held, %d are", s.held, held)
		}
	})
}
