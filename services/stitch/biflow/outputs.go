package biflow

import flowv1 "github.com/flowledger/flowledger/proto/flow/v1"

// outlet is where versions of conversations go: as messages (messages), or as
// bytes (written).
type outlet interface {
	// lend lends a message of which every field is to be filled in.
	lend() *flowv1.Biflow
	// say takes the message lent last; its reporters in their wire form come along.
	say(b *flowv1.Biflow, reporters []byte)
}

// messages lends out the messages of one call and takes them back at the next,
// so that steady state allocates nothing. What they point to is the table's.
type messages struct {
	all []*flowv1.Biflow
	n   int
	// passing tells that what was emitted is not needed any more when emit is back.
	passing bool
	emit    func(*flowv1.Biflow)
}

func (o *messages) begin(emit func(*flowv1.Biflow)) { o.n, o.emit = 0, emit }

func (o *messages) lend() *flowv1.Biflow {
	if o.passing {
		o.n = 0
	}
	if o.n == len(o.all) {
		o.all = append(o.all, new(flowv1.Biflow))
	}
	b := o.all[o.n]
	o.n++
	return b
}

func (o *messages) say(b *flowv1.Biflow, _ []byte) { o.emit(b) }
