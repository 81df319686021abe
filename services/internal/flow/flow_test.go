package flow

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

func TestBothDirectionsMeet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := &flowv1.Flow{
			SrcAddr: rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "src"),
			DstAddr: rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "dst"),
			SrcPort: rapid.Uint32Range(0, 65535).Draw(t, "sport"),
			DstPort: rapid.Uint32Range(0, 65535).Draw(t, "dport"),
			Proto:   rapid.SampledFrom([]uint32{2, 6, 17, 47, 50, 132}).Draw(t, "proto"),
			Realm:   rapid.Uint32().Draw(t, "realm"),
		}
		r := &flowv1.Flow{
			SrcAddr: f.DstAddr, DstAddr: f.SrcAddr, SrcPort: f.DstPort, DstPort: f.SrcPort, Proto: f.Proto, Realm: f.Realm,
		}
		if ConversationHash(f) != ConversationHash(r) {
			t.Fatal("the two directions of a conversation hash apart")
		}
		k, l := KeyOf(f), KeyOf(r)
		_, forward := k.Conversation()
		_, backward := l.Conversation()
		if forward == backward && k.Src != k.Dst {
			t.Fatal("both directions claim the same side")
		}
	})
}

// TestShortWayToTheHash: whatever way is taken, the hash is that of the key.
func TestShortWayToTheHash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.SampledFrom([]int{4, 4, 4, 16})
		addr := func(name string) []byte {
			b := make([]byte, size.Draw(t, name+"_size"))
			b[len(b)-1] = rapid.ByteRange(0, 3).Draw(t, name)
			b[0] = rapid.SampledFrom([]byte{0, 1, 200}).Draw(t, name+"_first")
			return b
		}
		f := &flowv1.Flow{
			SrcAddr: addr("src"), DstAddr: addr("dst"), Realm: rapid.Uint32Range(0, 70_000).Draw(t, "realm"),
			SrcPort: rapid.Uint32Range(0, 70_000).Draw(t, "sport"), DstPort: rapid.Uint32Range(0, 70_000).Draw(t, "dport"),
			Proto: rapid.SampledFrom([]uint32{1, 2, 6, 17, 58, 132, 256 + 6}).Draw(t, "proto"),
		}
		k := KeyOf(f)
		c, _ := k.Conversation()
		if ConversationHash(f) != c.Hash() {
			t.Fatalf("%v hashes otherwise than its key", f)
		}
	})
}

func TestICMPRequestAndReplyMeet(t *testing.T) {
	for _, c := range []struct {
		name                  string
		proto, request, reply uint32
		mirrored              uint32
		meet                  bool
	}{
		{"echo", 1, 8, 0, 0, true},
		{"timestamp", 1, 13, 14, 0, true},
		{"echo v6", 58, 128, 129, 0, true},
		{"neighbour solicitation", 58, 135, 136, 0, true},
		{"mirrored ports", 58, 135, 0, 135 << 8, true},
		{"two errors", 1, 3, 3, 0, false},
	} {
		a := &flowv1.Flow{SrcAddr: []byte{10, 0, 0, 1}, DstAddr: []byte{10, 0, 0, 2}, Proto: c.proto, IcmpType: c.request}
		b := &flowv1.Flow{SrcAddr: []byte{10, 0, 0, 2}, DstAddr: []byte{10, 0, 0, 1}, Proto: c.proto, IcmpType: c.reply, SrcPort: c.mirrored}
		if got := ConversationHash(a) == ConversationHash(b); got != c.meet {
			t.Errorf("%s: request and reply meet: %v, want %v", c.name, got, c.meet)
		}
	}
}

func TestICMPWayBack(t *testing.T) {
	f := func(proto, typ, want uint8) {
		t.Helper()
		if got := ICMPWayBack(proto, typ); got != want {
			t.Errorf("protocol %d, type %d: got %d, want %d", proto, typ, got, want)
		}
	}
	f(1, 8, 0) // echo
	f(1, 0, 8)
	f(1, 10, 9) // router discovery
	f(1, 9, 10)
	f(1, 17, 18) // address mask
	f(1, 3, 3)   // unreachable
	f(1, 255, 255)
	f(58, 128, 129)
	f(58, 136, 135) // neighbour discovery
	f(58, 143, 143)
}

func TestConversationHashIsStable(t *testing.T) {
	// The hash picks partitions: a change remaps every conversation.
	f := &flowv1.Flow{SrcAddr: []byte{10, 0, 0, 1}, DstAddr: []byte{192, 0, 2, 7}, SrcPort: 40000, DstPort: 443, Proto: 6}
	if got, want := ConversationHash(f), uint64(0x2643d63e88a891f); got != want {
		t.Errorf("hash is %#x, want %#x", got, want)
	}
}

func TestAddrRoundTrip(t *testing.T) {
	for _, s := range []string{"0.0.0.0", "192.0.2.1", "::", "2001:db8::1", "ff02::fb"} {
		want := netip.MustParseAddr(s)
		a := AddrFrom(want.AsSlice())
		if got := a.Netip(); got != want {
			t.Errorf("%s came back as %s", want, got)
		}
		if !bytes.Equal(a.Wire(), want.AsSlice()) {
			t.Errorf("%s has wire form %x", want, a.Wire())
		}
	}
}

func TestBatchIsProtodelim(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var ours []byte
	var theirs bytes.Buffer
	for range 50 {
		f := &flowv1.Flow{Bytes: rng.Uint64(), SrcAddr: []byte{1, 2, 3, 4}, Application: "dns"}
		ours = AppendDelimited(ours, f)
		if _, err := protodelim.MarshalTo(&theirs, f); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(ours, theirs.Bytes()) {
		t.Fatal("a batch differs from protodelim's")
	}
	if n, err := Count(ours); n != 50 || err != nil {
		t.Fatalf("Count says %d, %v", n, err)
	}
	rest, err := Skip(ours, 49)
	if n, _ := Count(rest); n != 1 || err != nil {
		t.Fatalf("after skipping 49 of 50 there are %d, %v", n, err)
	}
	flows, left := decoded(ours)
	if len(flows) != 50 || left.Bad != (Bad{}) || flows[7].Application != "dns" {
		t.Fatalf("decoded %d records, %+v bad", len(flows), left.Bad)
	}
}

// decoded are the flows of a batch, and what is none.
func decoded(batch []byte) (flows []*flowv1.Flow, left LeftOut) {
	left.Split(batch, func(msg []byte) bool {
		var f flowv1.Flow
		if f.UnmarshalVT(msg) != nil {
			return false
		}
		flows = append(flows, &f)
		return true
	})
	return flows, left
}

func TestBriefsTellWhatTheyLeaveOut(t *testing.T) {
	good := AppendDelimited(nil, &flowv1.Flow{Bytes: 1})
	var d Briefs
	d.Add(slices.Concat(good, []byte{2, 0x0b, 0x0b}, good, []byte{9, 1})) // a group that does not end
	want := []Left{{[]byte{0x0b, 0x0b}, Undecodable}, {[]byte{9, 1}, Truncated}}
	if len(d.Records) != 2 || d.Bad != (Bad{Truncated: 1, Undecodable: 1}) || !cmp.Equal(d.Left, want) {
		t.Errorf("%d flows, %+v bad, left out %v", len(d.Records), d.Bad, d.Left)
	}
	if d.Add(good); len(d.Left) != 0 {
		t.Errorf("of another batch %v is left out", d.Left)
	}
}

func FuzzBatch(f *testing.F) {
	f.Add(AppendDelimited(nil, &flowv1.Flow{Bytes: 1}))
	f.Add([]byte{5, 1})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := Count(b)
		flows, left := decoded(b)
		if got := len(flows) + int(left.Bad.Undecodable); err == nil && got != n {
			t.Fatalf("%d messages, %d decoded or counted bad", n, got)
		}
		for _, m := range flows {
			if _, err := proto.Marshal(m); err != nil && len(m.Application)+len(m.User) == 0 {
				t.Logf("not canonical: %v", err)
			}
		}
	})
}

func TestPartition(t *testing.T) {
	for n := 1; n < 20; n++ {
		for _, hash := range []uint64{0, 1, 12345, 1<<63 - 1, 1 << 63, 1<<64 - 1} {
			if got, want := Partition(hash, n), hash%uint64(n); uint64(got) != want {
				t.Errorf("%d lives on %d of %d, want %d", hash, got, n, want)
			}
		}
	}
}
