package normalize

import "iter"

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
