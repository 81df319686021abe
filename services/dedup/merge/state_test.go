package merge

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// A window too small for its flows evicts the same ones whether it was restored
// or not, and decides the same ones early.
func TestEvictionDoesNotDependOnRestores(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := Default()
		cfg.MaxFlows = rapid.IntRange(1, 6).Draw(t, "max")
		cfg.MaxWaiting = rapid.IntRange(1, 6).Draw(t, "max waiting")
		whole, parts := New(cfg), New(cfg)
		var want, got []byte
		emitWant := func(f *flowv1.Flow) { want = flow.AppendDelimited(want, f) }
		emitGot := func(f *flowv1.Flow) { got = flow.AppendDelimited(got, f) }
		tick, record := eventtime.TickOf(second(0)), uint64(0)
		for range rapid.IntRange(5, 60).Draw(t, "ticks") {
			tick += eventtime.Tick(rapid.IntRange(1, 40).Draw(t, "step"))
			var in []*flowv1.Flow
			for range rapid.IntRange(0, 5).Draw(t, "reports") {
				f := report(rapid.IntRange(1, 3).Draw(t, "exporter"), 0, 5, 10)
				f.SrcPort = uint32(rapid.IntRange(0, 11).Draw(t, "port"))
				if rapid.Bool().Draw(t, "ipv6") {
					f.DstAddr = append(make([]byte, 12), f.DstAddr...)
				}
				f.TimeFlowEndNs = tick.Ns() - uint64(rapid.IntRange(0, 60).Draw(t, "ago"))*1e9
				f.TimeFlowStartNs = f.TimeFlowEndNs - 1e9
				record++
				f.TimeReceivedNs, f.RecordId = tick.Ns()+record, record
				in = append(in, f)
			}
			if rapid.IntRange(0, 3).Draw(t, "restore") == 0 {
				snapshot := parts.AppendSnapshot(nil)
				parts = New(cfg)
				if err := parts.Restore(snapshot); err != nil {
					t.Fatal(err)
				}
			}
			var again []*flowv1.Flow
			for _, f := range in {
				again = append(again, clone(f))
			}
			want, got = want[:0], got[:0]
			for next := min(whole.NextTimer(), parts.NextTimer()); next < tick; {
				whole.Tick(next, nil, emitWant)
				parts.Tick(next, nil, emitGot)
				next = max(next+1, min(whole.NextTimer(), parts.NextTimer()))
			}
			whole.Tick(tick, in, emitWant)
			parts.Tick(tick, again, emitGot)
			if !bytes.Equal(sortBatch(want), sortBatch(got)) {
				t.Fatal("a restored window goes on differently")
			}
			if w, p := whole.Stats().Flows, parts.Stats().Flows; w != p {
				t.Fatalf("%d flows remembered, %d after a restore", w, p)
			}
			if w, p := whole.Stats().Waiting, parts.Stats().Waiting; w != p || w > cfg.MaxWaiting {
				t.Fatalf("%d reports wait, %d after a restore, of %d at most", w, p, cfg.MaxWaiting)
			}
		}
	})
}

// Whatever fields a flow has, those of tomorrow too, it comes out as it went in.
func TestHeldFlowComesOutAsItWentIn(t *testing.T) {
	fields := (&flowv1.Flow{}).ProtoReflect().Descriptor().Fields()
	check := func(t *rapid.T, f *flowv1.Flow) {
		w := New(Default())
		var out []*flowv1.Flow
		emit := func(f *flowv1.Flow) { out = append(out, clone(f)) }
		want := clone(f)
		w.Tick(1, []*flowv1.Flow{f}, emit)
		w.Tick(100, nil, emit)
		want.Authority = flowv1.Authority_AUTHORITY_SOLE
		if len(out) != 1 || !proto.Equal(out[0], want) {
			t.Fatalf("went in as\n%v\ncame out as\n%v", want, out)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		f := report(1, 0, 5, 10)
		m := f.ProtoReflect()
		for range rapid.IntRange(0, 4).Draw(t, "n") {
			fd := fields.Get(rapid.IntRange(0, fields.Len()-1).Draw(t, "field"))
			if fd.IsList() || fd.Kind() == protoreflect.MessageKind {
				m.Mutable(fd)
				if fd.IsList() {
					l := m.Mutable(fd).List()
					if fd.Kind() == protoreflect.MessageKind {
						l.Append(l.NewElement())
					} else {
						l.Append(scalar(t, fd))
					}
				}
				continue
			}
			m.Set(fd, scalar(t, fd))
		}
		if rapid.IntRange(0, 9).Draw(t, "unknown") == 0 {
			m.SetUnknown(protoreflect.RawFields{0xfa, 0x3f, 1, 7})
		}
		check(t, f)
	})
}

func scalar(t *rapid.T, fd protoreflect.FieldDescriptor) protoreflect.Value {
	n := rapid.SampledFrom([]uint64{1, 255, 256, 65535, 65536, 1 << 31}).Draw(t, "value")
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(n & 0x7fffffff))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(n))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(n << 16)
	case protoreflect.StringKind:
		return protoreflect.ValueOfString("text")
	}
	b := make([]byte, rapid.SampledFrom([]int{0, 1, 4, 16, 17}).Draw(t, "len"))
	for i := range b {
		b[i] = byte(i + 1)
	}
	if len(b) == 16 && rapid.Bool().Draw(t, "mapped") {
		copy(b, []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff})
	}
	return protoreflect.ValueOfBytes(b)
}

// A flow that waits for nothing takes few bytes of a snapshot.
func TestSnapshotIsSmall(t *testing.T) {
	w := New(Default())
	const flows = 10_000
	for i := range flows {
		f := report(1, float64(i/100), float64(i/100)+1, 10)
		f.SrcPort, f.DstAddr = uint32(i), []byte{198, 51, byte(i >> 8), byte(i)}
		f.TimeReceivedNs += 3_777_000_000
		w.Tick(eventtime.TickOf(f.TimeReceivedNs), []*flowv1.Flow{f}, none)
	}
	w.End(0, none)
	if size := len(w.AppendSnapshot(nil)); size > 18*flows {
		t.Errorf("%.1f bytes per flow, at most 18", float64(size)/flows)
	}
}
