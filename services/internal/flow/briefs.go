package flow

import (
	"cmp"
	"slices"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// Briefs reads batches of flows, of each no more than its Brief. What the decoder of
// messages refuses it refuses too.
type Briefs struct {
	// Records are the flows read since Reset. Their order may be changed.
	Records []*Brief
	LeftOut
	all    []*Brief
	full   flowv1.Flow
	fields Fields
	again  []byte
	sorter Sorter
	spare  []*Brief
}

// briefsPerPage is how many are allocated at once.
const briefsPerPage = 256

// Reset takes all back.
func (d *Briefs) Reset() { d.Records, d.again = d.Records[:0], d.again[:0] }

// Add reads every flow of a batch.
func (d *Briefs) Add(batch []byte) { d.Split(batch, d.AddOne) }

// AddOne reads a flow, and tells whether it is one.
func (d *Briefs) AddOne(wire []byte) bool {
	b := d.next()
	if !b.quick(wire, &d.fields) {
		if how := b.read(wire, &d.fields); how != plain && !d.mend(b, wire, how) {
			return false
		}
	}
	d.Records = append(d.Records, b)
	return true
}

// next is the place of the next brief.
func (d *Briefs) next() *Brief {
	if n := len(d.Records); n < len(d.all) {
		return d.all[n]
	}
	page := new([briefsPerPage]Brief)
	for i := range page {
		d.all = append(d.all, &page[i])
	}
	return d.all[len(d.Records)]
}

// mend lets the decoder judge a flow, and tells whether it is one. An unusual one
// is encoded anew.
func (d *Briefs) mend(b *Brief, wire []byte, how reading) bool {
	f := &d.full
	f.Reset()
	if f.UnmarshalVTUnsafe(wire) != nil {
		return false
	}
	if how == doubtful {
		return true
	}
	f.Authority = 0 // dedup's to say
	start, size := len(d.again), f.SizeVT()
	d.again = slices.Grow(d.again, size)[:start+size]
	again := d.again[start : start+size : start+size]
	if _, err := f.MarshalToSizedBufferVT(again); err != nil {
		return false
	}
	return b.read(again, &d.fields) != unusual
}

// Sort puts the records into the order of Orders.Raw.
func (d *Briefs) Sort() {
	rs := d.Records
	places := d.sorter.Places(len(rs))
	for i, b := range rs {
		places[i] = Place{b.TimeReceivedNs, uint32(i)}
	}
	sorted, moved := d.sorter.Sort(func(a, b uint32) int { return cmp.Compare(rs[a].RecordID, rs[b].RecordID) })
	if moved {
		d.spare = arrange(rs, d.spare, sorted)
	}
}
