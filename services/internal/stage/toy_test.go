package stage

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// toyRecord is a record of the toy chain: a key, the group that the key belongs
// to, and numbers.
type toyRecord struct {
	id, key, group, n, version uint64
}

func (r *toyRecord) append(b []byte) []byte {
	for _, v := range []uint64{r.id, r.key, r.group, r.n, r.version} {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

func (r *toyRecord) SizeVT() int { return len(r.append(nil)) }

func (r *toyRecord) MarshalToSizedBufferVT(b []byte) (int, error) {
	return copy(b, r.append(nil)), nil
}

func parseToy(b []byte) (r toyRecord) {
	for _, v := range []*uint64{&r.id, &r.key, &r.group, &r.n, &r.version} {
		n, size := binary.Uvarint(b)
		if size <= 0 {
			panic("not a toy record")
		}
		*v, b = n, b[size:]
	}
	return r
}

// notToy begins a record that is no toyRecord.
const notToy = 0xee

// toyRecords decodes the batches of one input, in the records' own order.
func toyRecords(in []Batch, input int, out *Output) (rs []toyRecord) {
	for _, b := range in {
		if b.Input != input {
			continue
		}
		for rest := b.Value; len(rest) > 0; {
			var msg []byte
			var err error
			if msg, rest, err = flow.Next(rest); err != nil {
				panic(err)
			}
			if len(msg) > 0 && msg[0] == notToy && len(msg) == 2 {
				out.LeaveOut(b, []flow.Left{{Bytes: msg, Reason: flow.Undecodable}})
				continue
			}
			rs = append(rs, parseToy(msg))
		}
	}
	slices.SortFunc(rs, func(a, b toyRecord) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.id, b.id), cmp.Compare(a.version, b.version), cmp.Compare(a.n, b.n))
	})
	return rs
}

// toyState is what all toy cores keep: numbers per key, with a tick at which
// something is due.
type toyState map[uint64]toyEntry

type toyEntry struct {
	group, n, version uint64
	due               eventtime.Tick
}

func (s toyState) keys() []uint64 {
	keys := make([]uint64, 0, len(s))
	for k := range s {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (s toyState) NextTimer() eventtime.Tick {
	next := eventtime.Never
	for _, e := range s {
		next = min(next, e.due)
	}
	return next
}

func (s toyState) AppendSnapshot(b []byte) []byte {
	b = appendLen(b, len(s))
	for _, k := range s.keys() {
		e := s[k]
		for _, v := range []uint64{k, e.group, e.n, e.version, uint64(e.due)} {
			b = binary.AppendUvarint(b, v)
		}
	}
	return b
}

func (s toyState) Restore(b []byte) error {
	d := decoder{b: b}
	for n := d.len(); n > 0; n-- {
		var v [5]uint64
		for i := range v {
			var size int
			if v[i], size = binary.Uvarint(d.b); size <= 0 {
				return errors.New("damaged toy state")
			}
			d.b = d.b[size:]
		}
		s[v[0]] = toyEntry{group: v[1], n: v[2], version: v[3], due: eventtime.Tick(v[4])}
	}
	return d.err
}

// due calls f for the keys that are due at tick, in their order.
func (s toyState) due(tick eventtime.Tick, f func(k uint64, e toyEntry)) {
	for _, k := range s.keys() {
		if e := s[k]; e.due <= tick {
			f(k, e)
		}
	}
}

// toyMerge holds a key for 3 ticks: it says the first record at once and the sum
// at the end, on its own partition.
type toyMerge struct {
	toyState
	partition int
}

func newToyMerge(p int) Core { return &toyMerge{toyState{}, p} }

func (c *toyMerge) Tick(tick eventtime.Tick, in []Batch, out *Output) {
	c.due(tick, func(k uint64, e toyEntry) { c.close(k, e, out) })
	for _, r := range toyRecords(in, 0, out) {
		e, open := c.toyState[r.key]
		if !open {
			e = toyEntry{group: r.group, due: tick + 3}
			out.Append(0, c.partition, &toyRecord{id: r.id, key: r.key, group: r.group, n: r.n})
		}
		e.n += r.n
		e.version++
		c.toyState[r.key] = e
	}
}

func (c *toyMerge) close(k uint64, e toyEntry, out *Output) {
	out.Append(0, c.partition, &toyRecord{key: k, group: e.group, n: e.n, version: e.version})
	delete(c.toyState, k)
}

func (c *toyMerge) End(_ eventtime.Tick, out *Output) {
	c.due(eventtime.Never, func(k uint64, e toyEntry) { c.close(k, e, out) })
}

// toyPair adds up per key, says every change, repartitioned by group, and closes
// a key that was idle for 7 ticks. Its policy is a number that it adds to what it says.
type toyPair struct {
	toyState
	bonus uint64
}

func newToyPair(int) Core { return &toyPair{toyState: toyState{}} }

// Policy takes a number; 13 is none.
func (c *toyPair) Policy(raw []byte) error {
	if len(raw) != 1 || raw[0] == 13 {
		return errors.New("no toy policy")
	}
	c.bonus = uint64(raw[0]) * 1_000_000_000
	return nil
}

func (c *toyPair) say(k uint64, e toyEntry, out *Output) {
	out.Append(0, int(e.group)%out.Partitions(0), &toyRecord{key: k, group: e.group, n: e.n + c.bonus, version: e.version})
}

func (c *toyPair) Tick(tick eventtime.Tick, in []Batch, out *Output) {
	for _, r := range toyRecords(in, 0, out) {
		e := c.toyState[r.key]
		e.group, e.due = r.group, tick+7
		e.n += r.n
		e.version++
		c.toyState[r.key] = e
		c.say(r.key, e, out)
	}
	c.due(tick, func(k uint64, e toyEntry) { c.close(k, e, out) })
}

func (c *toyPair) close(k uint64, e toyEntry, out *Output) {
	e.version += 1000
	c.say(k, e, out)
	delete(c.toyState, k)
}

func (c *toyPair) End(_ eventtime.Tick, out *Output) {
	c.due(eventtime.Never, func(k uint64, e toyEntry) { c.close(k, e, out) })
}

// toyJudge adds up per group in windows of 10 ticks; a full window is an alert and
// an activity, and the activities of long ago (its own, read back) count in.
type toyJudge struct{ toyState }

func newToyJudge(int) Core { return &toyJudge{toyState{}} }

const toyWindow = 10

func (c *toyJudge) Tick(tick eventtime.Tick, in []Batch, out *Output) {
	for _, r := range toyRecords(in, 1, out) {
		c.count(tick, r.group, 1_000_000)
	}
	c.due(tick, func(k uint64, e toyEntry) { c.close(tick, k, e, out) })
	for _, r := range toyRecords(in, 0, out) {
		c.count(tick, r.group, r.n)
	}
}

func (c *toyJudge) count(tick eventtime.Tick, group, n uint64) {
	e, open := c.toyState[group]
	if !open {
		e = toyEntry{group: group, due: tick - tick%toyWindow + toyWindow}
	}
	e.n += n
	e.version++
	c.toyState[group] = e
}

func (c *toyJudge) close(tick eventtime.Tick, k uint64, e toyEntry, out *Output) {
	p := int(k) % out.Partitions(0)
	out.AppendMessage(0, p, []byte{byte(k)}, fmt.Appendf(nil, "group %d at %d: %d of %d", k, tick, e.n, e.version))
	out.Append(1, p, &toyRecord{key: k, group: k, n: e.n})
	delete(c.toyState, k)
}

func (c *toyJudge) End(tick eventtime.Tick, out *Output) {
	c.due(eventtime.Never, func(k uint64, e toyEntry) { c.close(tick, k, e, out) })
}

// toyChain is three stages over the real topics' names, with a loop in the last.
func toyChain() []Spec {
	return []Spec{
		{Name: "dedup", Epoch: 1, NewCore: newToyMerge,
			Inputs:  []Input{{Topic: FlowsRaw}},
			Outputs: []OutputSpec{{Topic: FlowsDeduped, Ticks: true, Aligned: true}}},
		{Name: "stitch", Epoch: 1, NewCore: newToyPair, Policy: true,
			Inputs:  []Input{{Topic: FlowsDeduped, From: "dedup", Aligned: true}},
			Outputs: []OutputSpec{{Topic: Biflows, Ticks: true}}},
		{Name: "detect", Epoch: 1, NewCore: newToyJudge,
			Inputs:  []Input{{Topic: Biflows, From: "stitch"}, {Topic: Activity, From: "detect", Delay: 15}},
			Outputs: []OutputSpec{{Topic: Alerts}, {Topic: Activity, Ticks: true}}},
	}
}
