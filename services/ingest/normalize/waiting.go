package normalize

import (
	"encoding/binary"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// waitingCost is what a waiting set takes beside its bytes.
const waitingCost = 512

// reasonTemplateMissing is why a data set is buried whose template did not come.
const reasonTemplateMissing = "template_missing"

// waitingSet is a data set that came ahead of its template (RFC 3954 §9, RFC 7011
// §9), with what its message said.
type waitingSet struct {
	msg message
	id  uint16
	// message is a message of its own, as the exporter could have sent it: the
	// header, and this set alone.
	message []byte
	header  int
	// done tells that it has been read.
	done bool
	// broken tells that its message was.
	broken bool
}

// waitingRoom keeps data sets until their templates come, bounded in bytes, per
// exporter and in total, and in time.
//
//	data set ─▶ room? ─no─────────────────▶ dead letter
//	             ╰─▶ waits ─ template ─────▶ records
//	                   ╰──── too long ─────▶ dead letter
type waitingRoom struct {
	// queue has the sets in order of their reception, from head on.
	queue       []*waitingSet
	head        int
	sets, bytes int
}

// Waits tells whether data waits for its template: what is read of it later was
// received before what is read now.
func (n *Normalizer) Waits() bool { return n.waiting.sets > 0 }

// wait keeps a data set without a template. If there is no room for it, the datagram
// is buried, once for all its sets: small ones must not make many letters of one
// datagram.
func (n *Normalizer) wait(m *message, id uint16, set []byte, out *Result) {
	out.MissingTemplateSets++
	header := ipfixHeader
	if m.kind == flowv1.FlowType_FLOW_TYPE_NETFLOW_V9 {
		header = v9Header
	}
	length := header + setHeader + len(set)
	r, cost := &n.waiting, length+waitingCost
	if m.exp.waitingBytes+cost > n.cfg.MaxWaitingBytes || r.bytes+cost > n.cfg.MaxTotalWaitingBytes {
		out.ExpiredSets++
		m.noRoom = true
		return
	}
	alone := make([]byte, 0, length)
	alone = append(alone, m.header[:header]...)
	alone = binary.BigEndian.AppendUint16(alone, id)
	alone = binary.BigEndian.AppendUint16(alone, uint16(setHeader+len(set)))
	alone = append(alone, set...)
	if m.kind == flowv1.FlowType_FLOW_TYPE_IPFIX {
		binary.BigEndian.PutUint16(alone[2:], uint16(length))
	}
	w := &waitingSet{msg: *m, id: id, message: alone, header: header, broken: m.bad != ""}
	w.msg.header, w.msg.bad, w.msg.records = alone[:header], "", 0
	m.waited = true
	if m.dom.waiting == nil {
		m.dom.waiting = map[uint16][]*waitingSet{}
	}
	m.dom.waiting[id] = append(m.dom.waiting[id], w)
	r.queue = append(r.queue, w)
	r.sets++
	r.bytes += cost
	m.exp.waitingBytes += cost
	n.dueNs = min(n.dueNs, m.receivedNs+uint64(n.cfg.WaitForTemplate))
}

// readWaiting reads the sets of a domain that waited for this template. Those of another
// port wait for the port's own from now on if one of them does not fit.
func (n *Normalizer) readWaiting(d *domain, t *template, out *Result) {
	sets := d.waiting[t.id]
	if sets == nil {
		return
	}
	for _, w := range sets {
		if by := d.templateOf(w.id, w.msg.port, w.msg.receivedNs); by != nil && !w.broken && !n.fits(&w.msg, by, w.set()) {
			d.standAlone(variant{w.id, w.msg.port}, n.nowNs, n.nowNs+uint64(n.cfg.WaitForTemplate))
		}
	}
	before := out.DataRecords + out.OptionsRecords
	left := sets[:0]
	for _, w := range sets {
		by := d.templateOf(w.id, w.msg.port, w.msg.receivedNs)
		if by == nil || d.standsAlone(by, w.msg.port, n.nowNs) {
			left = append(left, w)
			continue
		}
		n.leave(w)
		out.LateSets++
		n.readSet(&w.msg, by, w.set(), out)
		d.records += uint64(w.msg.records)
	}
	clear(sets[len(left):])
	if d.waiting[t.id] = left; len(left) == 0 {
		delete(d.waiting, t.id)
	}
	out.LateRecords += out.DataRecords + out.OptionsRecords - before
}

// set is the set's content.
func (w *waitingSet) set() []byte { return w.message[w.header+setHeader:] }

// leave takes a set out of the room; its place in the queue goes with time.
func (n *Normalizer) leave(w *waitingSet) {
	cost := len(w.message) + waitingCost
	n.waiting.sets--
	n.waiting.bytes -= cost
	w.msg.exp.waitingBytes -= cost
	w.done = true
}

// readLearnt reads what waited for templates that others told us of.
func (n *Normalizer) readLearnt(out *Result) {
	for _, l := range n.learnt {
		if t := l.dom.templateOf(l.id, l.port, n.nowNs); t != nil {
			n.readWaiting(l.dom, t, out)
		}
	}
	clear(n.learnt)
	n.learnt = n.learnt[:0]
}

// expireWaiting buries the sets whose template has not come in time.
func (n *Normalizer) expireWaiting(nowNs uint64, out *Result) {
	r := &n.waiting
	for r.head < len(r.queue) {
		w := r.queue[r.head]
		if !w.done && w.msg.receivedNs+uint64(n.cfg.WaitForTemplate) > nowNs {
			break
		}
		r.queue[r.head] = nil
		r.head++
		if w.done {
			continue
		}
		n.leave(w)
		n.forgetWaiting(w)
		out.ExpiredSets++
		out.bury(reasonTemplateMissing, &w.msg, w.message, n.cfg.MaxDeadBytes)
	}
	n.dueNs = never
	if r.head < len(r.queue) {
		n.dueNs = r.queue[r.head].msg.receivedNs + uint64(n.cfg.WaitForTemplate)
	}
	if r.head > len(r.queue)/2 {
		kept := copy(r.queue, r.queue[r.head:])
		clear(r.queue[kept:])
		r.queue, r.head = r.queue[:kept], 0
	}
}

// forgetWaiting takes a buried set out of its domain's list. Sets are buried in
// the order in which they came, so it is the first.
func (n *Normalizer) forgetWaiting(w *waitingSet) {
	d := w.msg.dom
	sets := d.waiting[w.id]
	if len(sets) > 0 && sets[0] == w {
		sets[0] = nil
		sets = sets[1:]
	}
	if len(sets) == 0 {
		delete(d.waiting, w.id)
	} else {
		d.waiting[w.id] = sets
	}
}
