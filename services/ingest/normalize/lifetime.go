package normalize

import (
	"encoding/binary"
	"net/netip"
	"time"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

const (
	// refreshes is how many refreshes of a template may be lost before it is taken
	// to be given up (RFC 7011 §8.4: at least three).
	refreshes = 3
	// maxLifetimeNs bounds the lifetime of templates that are seldom sent.
	maxLifetimeNs = 24 * uint64(time.Hour)
)

// lifetime is how long a template that came over UDP may be used after it came
// last: three times the longest interval at which it was sent again, and at least
// the configured timeout. Exporters that send templates by the number of datagrams
// do so less often when there is little to say, so the longest interval counts.
//
// An expired template must not be used (RFC 3954 §9, RFC 7011 §8.4), but it is
// remembered, so that the interval is known when it comes again.
type lifetime struct {
	receivedNs, refreshNs uint64
	untilNs               uint64
}

func newLifetime(nowNs uint64, timeout time.Duration) lifetime {
	l := lifetime{receivedNs: nowNs}
	l.extend(timeout)
	return l
}

// refresh takes in that the template came again. What is older says nothing new.
func (l *lifetime) refresh(nowNs uint64, timeout time.Duration) {
	if nowNs <= l.receivedNs {
		return
	}
	l.refreshNs = max(l.refreshNs, nowNs-l.receivedNs)
	l.receivedNs = nowNs
	l.extend(timeout)
}

func (l *lifetime) extend(timeout time.Duration) {
	l.untilNs = l.receivedNs + min(max(refreshes*l.refreshNs, uint64(timeout)), maxLifetimeNs)
}

// outlived tells that even the memory of a template is of no more use.
func (l *lifetime) outlived(nowNs uint64) bool { return l.untilNs+maxLifetimeNs < nowNs }

// dropExpired gives up the exporter's templates that have expired, and, once a
// minute, everybody's. It tells whether there were any.
func (n *Normalizer) dropExpired(e *exporter, nowNs uint64) bool {
	before := n.templates
	n.tidy(e, nowNs)
	if n.templates == before && nowNs >= n.nextExpiryNs {
		n.nextExpiryNs = nowNs + uint64(time.Minute)
		for _, other := range n.exporters {
			n.tidy(other, nowNs)
		}
	}
	return n.templates < before
}

// tidy gives up the templates of an exporter that have expired. Those of sessions live as
// long as these. Until the next one expires, there is nothing to look for: an exporter
// that has no room for ever new templates asks for it with each.
func (n *Normalizer) tidy(e *exporter, nowNs uint64) {
	if nowNs <= e.expiryNs {
		return
	}
	e.expiryNs = never
	for key, d := range e.domains {
		if key.session != 0 {
			continue
		}
		for t := range d.allTemplates() {
			if t.lifetime.untilNs < nowNs {
				n.forgetTemplate(e, d, t)
			} else {
				e.expiryNs = min(e.expiryNs, t.lifetime.untilNs)
			}
		}
	}
}

// withdraw gives up a template that a session's exporter has withdrawn; the ids
// 2 and 3 stand for all templates and all options templates (RFC 7011 §8.1).
// Over UDP a withdrawal means nothing (§8.4).
func (n *Normalizer) withdraw(m *message, id uint16, options bool) {
	if m.dom.key.session == 0 {
		return
	}
	for _, t := range m.dom.templates {
		if t.options == options && (t.id == id || id == 2 && !options || id == 3 && options) {
			n.forgetTemplate(m.exp, m.dom, t)
		}
	}
}

// endSession forgets the templates of a transport session that is closed
// (RFC 7011 §8.1). What waits for one of them is buried in time.
func (n *Normalizer) endSession(from netip.Addr, session uint64) {
	e := n.exporters[from.Unmap().WithZone("")]
	if e == nil {
		return
	}
	for key, d := range e.domains {
		if key.session == session {
			n.forgetDomain(d)
		}
	}
}

// kindOfTemplate tells by the length of a template record whether it is one of
// options: these have a header of six bytes, the others one of four, and all
// fields have a multiple of four.
func kindOfTemplate(raw []byte) (options bool) { return len(raw)%4 == 2 }

// parseTemplate takes a whole template record apart that was heard of from others.
func (n *Normalizer) parseTemplate(kind flowv1.FlowType, raw []byte) (r templateRecord, ok bool) {
	options := kindOfTemplate(raw)
	v9 := kind == flowv1.FlowType_FLOW_TYPE_NETFLOW_V9
	if len(raw) < templateHeader || !v9 && binary.BigEndian.Uint16(raw[2:]) == 0 {
		return r, false
	}
	size, fields := measureTemplate(raw, v9, options)
	if size != len(raw) || fields > n.cfg.MaxFields {
		return r, false
	}
	r, err := decodeTemplate(raw, v9, options)
	return r, err == nil
}
