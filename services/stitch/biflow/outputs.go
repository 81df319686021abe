package biflow

import flowv1 "github.com/flowledger/flowledger/proto/flow/v1"

// outlet is where versions of conversations go: to a caller (emitter), or to the
// wire (Output).
type outlet interface {
	// say takes a version, which is the table's again afterwards. Its reporters come
	// along in their wire form.
	say(b *flowv1.Biflow, reporters []byte)
}

type emitter func(*flowv1.Biflow)

func (emit emitter) say(b *flowv1.Biflow, _ []byte) { emit(b) }
