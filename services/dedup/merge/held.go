package merge

import (
	"math"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// held is one waiting report: what a decision needs, and where the rest lies.
type held struct {
	start, end, received, recordID uint64
	bytes, packets, rate           uint64
	inIf                           uint32
	// active and inactive are the exporter's timeouts, in seconds.
	active, inactive uint16
	// point is the id of the observation point; next the number of the report that
	// waits behind this one. Behind the last of an entry comes its first again.
	point, next uint32
	// Of the first of an entry: when all of them are decided, the lower half of the
	// tick, and the link that the entry had before.
	due, past uint32
	// body is where the report itself lies: packed, or in its wire form, whose fields
	// behind authority begin at tail.
	body cell
	tail uint32
	late bool
	// telling reports know what few do; see flow.Brief.
	telling  bool
	tcpFlags uint16
}

// inPacked marks what lies in Window.packed.
const inPacked = inLarge + 1

func (h *held) packed() (number uint32, ok bool) {
	return h.body.at >> classBits, h.body.at&(1<<classBits-1) == inPacked
}

// keep stores a report that waits: as it lies on the wire, or, if it came as a
// struct, packed.
func (w *Window) keep(h *held, r *arrival) {
	h.start, h.end, h.received, h.recordID = r.TimeFlowStartNs, r.TimeFlowEndNs, r.TimeReceivedNs, r.RecordID
	h.bytes, h.packets, h.rate = r.Bytes, r.Packets, r.SamplingRate
	h.inIf, h.active, h.inactive = r.InIf, seconds(r.ActiveTimeoutMs), seconds(r.InactiveTimeoutMs)
	h.tail, h.late, h.telling, h.tcpFlags = r.Tail, r.Late, r.Telling, r.TCPFlags
	switch f := r.flow; {
	case f == nil:
		h.body = w.cells.put(r.Wire)
	case common(f) && w.points.all[h.point].sampler == r.Sampler:
		n, p := w.packed.Take()
		p.pack(f)
		h.body = cell{at: n<<classBits | inPacked}
	default:
		h.body = cell{size: uint32(f.SizeVT())}
		if _, err := f.MarshalToSizedBufferVT(w.cells.take(&h.body)); err != nil {
			panic("BUG: cannot marshal into a buffer of its own size: " + err.Error())
		}
	}
}

// seconds is that many whole ones, or as many as there is room for.
func seconds(ms uint32) uint16 { return uint16(min((uint64(ms)+999)/1000, math.MaxUint16)) }

// timeouts is the exporter's active plus inactive timeout, in milliseconds; 0 is unknown.
func (h *held) timeouts() uint32 { return (uint32(h.active) + uint32(h.inactive)) * 1000 }

// unpack lends the report again, field for field. It aliases the state until
// the next call.
func (w *Window) unpack(e *entry, h *held) *flowv1.Flow {
	n, ok := h.packed()
	if !ok {
		return w.decode(w.cells.get(h.body))
	}
	f := w.out.flow()
	f.SrcAddr, f.DstAddr = w.wire(e)
	f.SamplerAddress = w.points.all[h.point].sampler.Wire()
	f.Realm, f.Proto = w.standing(e).realm, uint32(e.proto())
	f.Bytes, f.Packets, f.SamplingRate, f.InIf = h.bytes, h.packets, h.rate, h.inIf
	f.TimeReceivedNs, f.TimeFlowStartNs, f.TimeFlowEndNs, f.RecordId = h.received, h.start, h.end, h.recordID
	w.packed.At(n).unpack(f)
	return f
}

// decode lends a flow that a Brief was read from. It aliases wire.
func (w *Window) decode(wire []byte) *flowv1.Flow {
	f := w.out.flow()
	if err := f.UnmarshalVTUnsafe(wire); err != nil {
		panic("BUG: cannot decode a flow that has been read: " + err.Error())
	}
	return f
}

// drop gives back what a report holds beside itself.
func (w *Window) drop(h *held) {
	if n, ok := h.packed(); ok {
		w.packed.Give(n)
	} else {
		w.cells.drop(h.body)
	}
}

// arrival is one report on its way in: as a struct, or as it lies on the wire.
type arrival struct {
	*flow.Brief
	flow *flowv1.Flow
}
