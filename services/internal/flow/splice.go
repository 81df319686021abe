package flow

import (
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// Spliced is a flow as it lies on the wire, with what dedup has to add in its
// place among the fields: what comes out is what decoding, setting the fields and
// encoding would give, byte for byte where the flow was encoded as ours are. Fields
// of tomorrow pass through.
type Spliced struct {
	// Wire is the flow, Tail where in it the fields behind authority begin.
	Wire []byte
	Tail uint32
	// Authority is not in Wire.
	Authority flowv1.Authority
	// Reporters are as AppendReporter wrote them, one after the other.
	Reporters []byte
	// Flow, if it is set, is the flow instead.
	Flow *flowv1.Flow
	// What the flow says of its place among others (Orders.Spliced).
	TimeFlowStartNs, TimeReceivedNs, RecordID uint64
	Late                                      bool
}

// Touch loads the flow into the caches: its two or three lines, if it is as long as most.
func (s *Spliced) Touch() (seen byte) {
	if n := len(s.Wire); n > 0 {
		seen = s.Wire[0] | s.Wire[n/2] | s.Wire[n-1]
	}
	return seen
}

// SizeVT is the number of its bytes.
func (s *Spliced) SizeVT() int {
	if s.Flow != nil {
		return s.Flow.SizeVT()
	}
	return len(s.Wire) + len(s.Reporters) + s.authoritySize()
}

// MarshalToSizedBufferVT writes it into the end of a buffer.
func (s *Spliced) MarshalToSizedBufferVT(b []byte) (int, error) {
	if s.Flow != nil {
		return s.Flow.MarshalToSizedBufferVT(b)
	}
	size := s.SizeVT()
	s.put(b[len(b)-size:])
	return size, nil
}

// AppendDelimited writes it behind a batch.
func (s *Spliced) AppendDelimited(batch []byte) []byte {
	if s.Flow != nil {
		return AppendDelimited(batch, s.Flow)
	}
	size := s.SizeVT()
	if room := size + binary.MaxVarintLen32; cap(batch)-len(batch) < room {
		batch = grow(batch, room)
	}
	batch = binary.AppendUvarint(batch, uint64(size))
	end := len(batch) + size
	s.put(batch[len(batch):end])
	return batch[:end]
}

// put writes it into a buffer of its size.
func (s *Spliced) put(b []byte) {
	i := copy(b, s.Wire[:s.Tail])
	i += copy(b[i:], s.Reporters)
	if s.Authority != 0 {
		i = putLarge(b, i, fieldAuthority, uint64(s.Authority))
	}
	copy(b[i:], s.Wire[s.Tail:])
}

// authoritySize is how many bytes the authority takes: few enough to be one varint byte.
func (s *Spliced) authoritySize() int {
	if s.Authority == 0 {
		return 0
	}
	return 3
}

// AppendReporter appends the view that a flow gives as a field of another: those
// of its fields that are Reporter's too. The flow must be one that a Brief was
// read from.
func AppendReporter(b, wire []byte) []byte {
	start := len(b)
	tagged := tag(fieldReporters, text)
	b = append(b, byte(tagged), byte(tagged>>8), 0)
	first := len(b)
	kept := 0 // from here on the fields are wanted
	for i := 0; i < len(wire); {
		begin, end, wanted := i, 0, false
		if end, wanted = nextField(wire, i); !wanted {
			b = append(b, wire[kept:begin]...)
			kept = end
		}
		i = end
	}
	b = append(b, wire[kept:]...)
	if size := len(b) - first; size < 0x80 {
		b[first-1] = byte(size)
	} else { // its length has more than one byte: it moves
		more := lengthOf(size) - 1
		b = append(b, make([]byte, more)...)
		copy(b[first+more:], b[first:])
		putVarint(b, start+2, uint64(size))
	}
	return b
}

// nextField is where the field at i ends, and whether Reporter has it too.
func nextField(wire []byte, i int) (end int, wanted bool) {
	begin, t := i, uint(wire[i])
	if i++; t >= 0x80 {
		t = t&0x7f | uint(wire[i])<<7
		i++
	}
	number := t >> 3
	if number >= uint(len(traits)) || traits[number] == 0 {
		_, _, n := protowire.ConsumeField(wire[begin:])
		return begin + n, false
	}
	wanted = traits[number]&reported != 0
	switch t & 7 {
	case varint:
		for wire[i] >= 0x80 {
			i++
		}
		return i + 1, wanted
	case fixed8:
		return i + 8, wanted
	}
	size, begin := Varint(wire, i)
	return begin + int(size), wanted
}

// Spliced is the order of Deduped, as places: the flows stay where they are. It is
// valid until the next call.
func (o *Orders) Spliced(fs []Spliced) []Place {
	places := o.sorter.Places(len(fs))
	for i := range fs {
		places[i] = Place{fs[i].TimeFlowStartNs, uint32(i)}
	}
	sorted, _ := o.sorter.Sort(func(a, b uint32) int { return fs[a].rank().Compare(fs[b].rank()) })
	return sorted
}

// rank is its place among flows of one start.
func (s *Spliced) rank() Rank { return Rank{s.TimeReceivedNs, s.RecordID, s.Late} }
