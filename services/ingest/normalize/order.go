package normalize

import (
	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
)

const (
	// orderTelling is after how many biflows whose ports tell something an exporter's order is judged.
	orderTelling = 8
	// orderWindow is the number of them after which the old ones count half.
	orderWindow = 1024
	// reservedPorts are those below it: servers have them (RFC 6335 §6).
	reservedPorts = 1024
)

// orderWatch learns whether an exporter that does not say who opened a conversation
// puts that one's packets first, as it saw them (RFC 5103 §6.1), or has another order: softflowd
// sorts by address.
type orderWatch struct {
	forth, back uint32 // biflows to a reserved port, and from one
}

// observe takes in the first half of a biflow.
func (w *orderWatch) observe(f *flowv1.Flow) {
	if !flow.HasPorts(uint8(f.Proto)) || (f.SrcPort < reservedPorts) == (f.DstPort < reservedPorts) {
		return
	}
	if w.forth+w.back == orderWindow {
		w.forth, w.back = w.forth/2, w.back/2
	}
	if f.DstPort < reservedPorts {
		w.forth++
	} else {
		w.back++
	}
}

// tells tells whether the order says anything: hosts that call from reserved ports, and
// conversations whose begin was missed, are few.
func (w *orderWatch) tells() bool {
	all := w.forth + w.back
	return all < orderTelling || w.back < all/4
}
