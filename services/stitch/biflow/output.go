package biflow

import (
	"cmp"

	"github.com/flowledger/flowledger/services/internal/flow"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// Output is what a table says in one tick, as it goes on the wire. The zero Output
// is ready, and keeps its buffers from one tick to the next.
type Output struct {
	// bytes are all versions, each with its length before it.
	bytes  []byte
	said   []version
	sorter flow.Sorter
}

// version is where a version lies in the bytes, and what orders it.
type version struct {
	start, id uint64
	// client is the hash that picks the partition.
	client   uint64
	from, to int
	number   uint32
}

// Each calls f for every version, in the order of biflows: by start, flow id and
// version. Client is the hash of the client's address; delimited is the version
// with its length before it, valid during the call.
func (o *Output) Each(f func(client uint64, delimited []byte)) {
	said := o.said
	places := o.sorter.Places(len(said))
	for i := range said {
		places[i] = flow.Place{Key: said[i].start, At: uint32(i)}
	}
	sorted, _ := o.sorter.Sort(func(a, b uint32) int {
		return cmp.Or(cmp.Compare(said[a].id, said[b].id), cmp.Compare(said[a].number, said[b].number))
	})
	for _, p := range sorted {
		v := &said[p.At]
		f(v.client, o.bytes[v.from:v.to])
	}
}

func (o *Output) reset() { o.bytes, o.said = o.bytes[:0], o.said[:0] }

func (o *Output) say(b *flowv1.Biflow, reporters []byte) {
	from := len(o.bytes)
	o.bytes = flow.AppendBiflow(o.bytes, b, reporters)
	o.said = append(o.said, version{b.TimeFlowStartNs, b.FlowId, flow.HostHash(b.ClientAddr), from, len(o.bytes), b.Version})
}
