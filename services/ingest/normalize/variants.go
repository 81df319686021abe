package normalize

import (
	"iter"
	"maps"
)

// maxVariants is how many templates of a domain are kept for single ports.
const maxVariants = 64

// variant names a template by the port of who sent it. Two exporting processes of one
// host, or two hosts behind one address, often have the same domain (0) and the same
// template ids for other layouts: to read the data of one by the template of the other
// makes flows of what is none. Ids belong to a transport session (RFC 7011 §8), which
// over UDP only the port tells.
//
// It does not tell in general: some exporters send templates from one port and data from
// another. So a template is everybody's until another port has another layout for its id,
// which then becomes everybody's; the first stays its own port's.
type variant struct{ id, port uint16 }

// known is the template of an id, as far as data from a port is concerned; nil if there
// is none, which may be used or not.
func (d *domain) known(id, port uint16) *template {
	if len(d.variants) > 0 {
		if t := d.variants[variant{id, port}]; t != nil {
			return t
		}
	}
	t := d.last
	if t == nil || t.id != id {
		if t = d.templates[id]; t != nil {
			d.last = t
		}
	}
	return t
}

// fits tells whether the data set of a message may be one of a template. One that came
// from another port need not be: whoever sent the data may have a layout of its own that
// is still to come. Then its records hardly ever come out even, but for padding, of which
// some exporters take what is at hand. A broken message tells nothing.
func (n *Normalizer) fits(m *message, t *template, set []byte) bool {
	if t.port == m.port || t.port == 0 || m.port == 0 || m.bad != "" {
		return true
	}
	if m.dom.standsAlone(t, m.port, m.receivedNs) {
		return false
	}
	if t.plan.fixed {
		set = set[len(set)-len(set)%t.plan.min:]
	}
	for len(set) >= t.plan.min {
		var size int
		if n.spans, size = measure(n.spans[:0], t, set); size < 0 {
			break
		}
		set = set[size:]
	}
	return len(set) < 4 || zero(set)
}

// standAlone has data from a port be read by the port's own template alone, until a time:
// some was found not to fit another's.
func (d *domain) standAlone(v variant, nowNs, untilNs uint64) {
	if len(d.alone) >= maxVariants {
		maps.DeleteFunc(d.alone, func(_ variant, until uint64) bool { return until < nowNs })
	}
	if len(d.alone) >= maxVariants {
		return
	}
	if d.alone == nil {
		d.alone = map[variant]uint64{}
	}
	d.alone[v] = untilNs
}

// standsAlone tells whether data from a port may not be read by this template.
func (d *domain) standsAlone(t *template, port uint16, nowNs uint64) bool {
	return len(d.alone) > 0 && t.port != port && d.alone[variant{t.id, port}] >= nowNs
}

// has tells whether a template has not been given up.
func (d *domain) has(t *template) bool {
	return d.templates[t.id] == t || d.variants[variant{t.id, t.port}] == t
}

// setApart keeps a template for its own port, where another port has another layout for
// its id as of atNs. It tells whether it did: no port is known of templates of which
// earlier builds told, and expired ones have had their time.
func (d *domain) setApart(old *template, port uint16, atNs uint64) bool {
	if d.templates[old.id] != old || old.port == 0 || port == 0 || old.port == port ||
		old.lifetime.untilNs < atNs || len(d.variants) >= maxVariants {
		return false
	}
	if d.variants == nil {
		d.variants = map[variant]*template{}
	}
	d.variants[variant{old.id, old.port}] = old
	old.apart = true
	if old.notice != nil {
		old.notice.publishedNs = 0 // the others do not know its port
	}
	return true
}

// allTemplates are everybody's and those of single ports. They may be forgotten meanwhile.
func (d *domain) allTemplates() iter.Seq[*template] {
	return func(yield func(*template) bool) {
		for _, t := range d.templates {
			if !yield(t) {
				return
			}
		}
		for _, t := range d.variants {
			if !yield(t) {
				return
			}
		}
	}
}
