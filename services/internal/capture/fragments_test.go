package capture

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket/layers"
	"pgregory.net/rapid"
)

// split4 cuts an IPv4 packet's payload into fragments of the given size.
func split4(p []byte, size int) [][]byte {
	var out [][]byte
	body := p[20:]
	for at := 0; at < len(body); at += size {
		end := min(at+size, len(body))
		f := append([]byte(nil), p[:20]...)
		binary.BigEndian.PutUint16(f[2:], uint16(20+end-at))
		field := uint16(at / 8)
		if end < len(body) {
			field |= 0x2000
		}
		binary.BigEndian.PutUint16(f[6:], field)
		out = append(out, append(f, body[at:end]...))
	}
	return out
}

// split6 does the same with an IPv6 fragment header.
func split6(p []byte, size int) [][]byte {
	var out [][]byte
	body := p[40:]
	for at := 0; at < len(body); at += size {
		end := min(at+size, len(body))
		f := append([]byte(nil), p[:40]...)
		f[6] = 44
		binary.BigEndian.PutUint16(f[4:], uint16(8+end-at))
		field := uint16(at)
		if end < len(body) {
			field |= 1
		}
		f = append(f, p[6], 0)
		f = binary.BigEndian.AppendUint16(f, field)
		f = append(f, 0, 0, 0, 9)
		out = append(out, append(f, body[at:end]...))
	}
	return out
}

// TestFragments puts datagrams together from fragments in any order, some of
// them twice, with an old stranger of the same id before.
func TestFragments(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		payload := export(string(rapid.SliceOfN(rapid.Byte(), 100, 3000).Draw(rt, "payload")))
		size := 8 * rapid.IntRange(1, 100).Draw(rt, "size")
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "order"), 0))
		var parts [][]byte
		if rapid.Bool().Draw(rt, "six") {
			parts = split6(udp6(t, payload), size)
		} else {
			parts = split4(udp4(t, payload), size)
		}
		rng.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		if n := len(parts); n > 1 {
			parts = append(parts, parts[n-1])
			parts[n-1] = parts[0] // a repeat before the last
		}
		packets := []packet{{at: 100, data: parts[len(parts)-1]}}
		for _, p := range parts {
			packets = append(packets, packet{at: 200, data: p})
		}
		got, st := readAll(t, Options{}, write(t, "a.pcap", pcapBytes(t, layers.LinkTypeRaw, packets...)))
		if len(parts) == 1 {
			return
		}
		if len(got) != 1 || got[0].Payload != string(payload) || got[0].Time != 200e9 {
			rt.Fatalf("got %d datagrams; %+v", len(got), st)
		}
		if diff := cmp.Diff(st, Stats{Packets: uint64(len(packets)), Datagrams: 1, Fragments: uint64(len(packets) - 1), Reassembled: 1}); diff != "" {
			rt.Errorf("(-got, +want)\n%s", diff)
		}
	})
}

// TestContradictingFragments gives up a packet whose fragments overlap, and
// keeps what it holds bounded.
func TestContradictingFragments(t *testing.T) {
	var f fragments
	key := fragmentKey{v4src, v4dst, 1, protoUDP}
	f.add(1, key, 0, true, make([]byte, 16))
	f.add(1, key, 8, true, make([]byte, 16))
	if len(f.open) != 0 {
		t.Error("an overlap is kept")
	}
	f.add(1, key, 16, false, make([]byte, 8))
	f.add(1, key, 24, true, make([]byte, 8))
	if len(f.open) != 0 {
		t.Error("a fragment beyond the end is kept")
	}
	for i := range uint32(3 * maxFragmented) {
		key.id = i
		f.add(2, key, 0, true, make([]byte, 8))
	}
	if len(f.open) > maxFragmented || len(f.order) > maxFragmented {
		t.Errorf("%d packets are open (%d in order), at most %d should", len(f.open), len(f.order), maxFragmented)
	}
	f.expire(3 + fragmentAge)
	if len(f.open) != 0 || len(f.order) != 0 {
		t.Errorf("%d packets are open after their time", len(f.open))
	}
}
