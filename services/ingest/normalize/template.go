package normalize

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/netsampler/goflow2/v2/decoders/netflow"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// variable is the length of fields that carry their own (RFC 7011 §7).
const variable = 0xffff

// template is one (options) template and the plan made of it.
type template struct {
	id uint16
	// port is where it came from last; 0 is unknown. apart tells that other ports have
	// other layouts for the id (variants.go).
	port  uint16
	apart bool
	// raw is the template record as it came, without the set's header.
	raw []byte
	// options tells that its records describe the exporter.
	options bool
	fields  []field
	plan    plan
	// elementsChanged is as of when the fields got their names (exporter.elementsChanged).
	elementsChanged uint64
	// lifetime says until when it may be used, where it came over UDP.
	lifetime lifetime
	// notice is the fact that tells the others of it; nil of a session's.
	notice *notice
}

// field is one field of a template.
type field struct {
	element element
	length  uint16
	// scope tells that the field says what an options record is about. In v9 its
	// element is then a scope's number.
	scope bool
	// offset counts from the start of the record, where no field before it has
	// a length of its own.
	offset int
	// v9Scope tells that element is a scope's number of v9 and no element.
	v9Scope bool
	name    string
	form    form
}

// templateSet reads a set of templates, or of options templates, record by
// record. goflow2 takes them apart, once it is sure that a record ends within
// the set: goflow2 takes memory for as many fields as a record claims to have.
func (n *Normalizer) templateSet(m *message, set []byte, options bool, out *Result) {
	v9 := m.kind == flowv1.FlowType_FLOW_TYPE_NETFLOW_V9
	for len(set) >= templateHeader {
		if !v9 && binary.BigEndian.Uint16(set[2:]) == 0 {
			// A withdrawal, or padding.
			n.withdraw(m, binary.BigEndian.Uint16(set), options)
			set = set[templateHeader:]
			continue
		}
		size, fields := measureTemplate(set, v9, options)
		if size < 0 {
			if !zero(set) { // else it is padding
				m.fail("bad_template_set")
			}
			return
		}
		if fields > n.cfg.MaxFields {
			out.RefusedTemplates++
		} else if r, err := decodeTemplate(set[:size], v9, options); err != nil {
			m.fail("bad_template_set")
		} else {
			m.at(m.setEnd - len(set))
			n.addTemplate(m, &r, set[:size], out)
		}
		set = set[size:]
	}
}

// Lengths of what stands before the fields of template records, in bytes.
const (
	templateHeader        = 4
	optionsTemplateHeader = 6
)

// measureTemplate tells the length of the template record that b begins with and
// how many fields it has; -1 where it does not end within b.
func measureTemplate(b []byte, v9, options bool) (size, fields int) {
	size, fields = templateHeader, int(binary.BigEndian.Uint16(b[2:]))
	if options {
		if len(b) < optionsTemplateHeader {
			return -1, 0
		}
		size = optionsTemplateHeader
		second := int(binary.BigEndian.Uint16(b[4:]))
		if v9 { // lengths in bytes of the scopes and of the other fields
			fields = fields/4 + second/4
		} else if second > fields { // more scopes than fields
			return -1, 0
		}
	}
	for range fields {
		if size+4 > len(b) {
			return -1, 0
		}
		if !v9 && b[size]&0x80 != 0 {
			size += 4 // an enterprise number follows
		}
		size += 4
	}
	if size > len(b) {
		return -1, 0
	}
	return size, fields
}

// templateRecord is what goflow2's three kinds of template records have in common.
type templateRecord struct {
	id              uint16
	scopes, options []netflow.Field
	isOptions       bool
}

// decodeTemplate has goflow2 take one record apart.
func decodeTemplate(b []byte, v9, options bool) (r templateRecord, err error) {
	buffer := bytes.NewBuffer(b)
	switch {
	case options && v9:
		got, err := netflow.DecodeNFv9OptionsTemplateSet(buffer)
		if err = single(len(got), err); err != nil {
			return r, fmt.Errorf("cannot decode options template: %w", err)
		}
		return templateRecord{got[0].TemplateId, got[0].Scopes, got[0].Options, true}, nil
	case options:
		got, err := netflow.DecodeIPFIXOptionsTemplateSet(buffer)
		if err = single(len(got), err); err != nil {
			return r, fmt.Errorf("cannot decode options template: %w", err)
		}
		return templateRecord{got[0].TemplateId, got[0].Scopes, got[0].Options, true}, nil
	}
	version := uint16(10)
	if v9 {
		version = 9
	}
	got, err := netflow.DecodeTemplateSet(version, buffer)
	if err = single(len(got), err); err != nil {
		return r, fmt.Errorf("cannot decode template: %w", err)
	}
	return templateRecord{got[0].TemplateId, nil, got[0].Fields, false}, nil
}

// single makes it an error that goflow2 found another number of records than one.
func single(records int, err error) error {
	if err == nil && records != 1 {
		return fmt.Errorf("%d records where there is one", records)
	}
	return err
}

// addTemplate takes in a template that an exporter sent, tells the others of it
// where it is new or another than before, and reads the data that waited for it.
func (n *Normalizer) addTemplate(m *message, r *templateRecord, raw []byte, out *Result) {
	t, changed := n.define(m.exp, m.dom, r, raw, m.receivedNs, m.port)
	switch {
	case t == nil:
		if r.id >= 256 && !empty(r) {
			out.RefusedTemplates++
		}
		return
	case changed && m.dom.key.session == 0:
		n.announceTemplate(m, t, out)
	}
	n.readWaiting(m.dom, t, out)
}

// empty tells whether the records of a template could be of length zero. Such a
// template is refused in silence: it is a withdrawal, padding, or an attack (its
// data sets would hold records without end).
func empty(r *templateRecord) bool {
	for _, fields := range [][]netflow.Field{r.scopes, r.options} {
		for i := range fields {
			if fields[i].Length != 0 {
				return false
			}
		}
	}
	return true
}

// define stores a template that came from a port as of atNs, within bounds; nil if it
// is refused. changed tells that it is new or another than before.
func (n *Normalizer) define(e *exporter, d *domain, r *templateRecord, raw []byte, atNs uint64, port uint16) (t *template, changed bool) {
	if r.id < 256 || empty(r) {
		return nil, false
	}
	old := d.known(r.id, port)
	if old != nil && old.options == r.isOptions && bytes.Equal(old.raw, raw) {
		old.lifetime.refresh(atNs, n.cfg.TemplateTimeout)
		if port != 0 {
			old.port = port
		}
		return old, false
	}
	if len(d.variants) >= maxVariants {
		n.tidy(e, atNs)
	}
	apart := old != nil && d.setApart(old, port, atNs)
	if apart {
		old = nil
	}
	if !n.roomForTemplate(e, d, old, len(r.scopes)+len(r.options), atNs) {
		return nil, false
	}
	t = &template{id: r.id, port: port, apart: apart || old != nil && old.apart, raw: bytes.Clone(raw), options: r.isOptions, lifetime: newLifetime(atNs, n.cfg.TemplateTimeout)}
	t.addFields(n, r.scopes, true, d.key.kind)
	t.addFields(n, r.options, false, d.key.kind)
	t.nameApart()
	t.plan = compile(t, e.policy)
	place := variant{r.id, port}
	portsOwn := old != nil && d.variants[place] == old
	if old != nil {
		n.forgetTemplate(e, d, old)
	}
	if portsOwn {
		d.variants[place] = t
	} else {
		if d.templates == nil {
			d.templates = map[uint16]*template{}
		}
		d.templates[r.id], d.last = t, t
	}
	e.expiryNs = min(e.expiryNs, t.lifetime.untilNs)
	n.templates++
	n.fields += len(t.fields)
	e.templates++
	e.fields += len(t.fields)
	return t, true
}

// roomForTemplate tells whether a template of so many fields may be kept in the
// place of old. Templates that have outlived their use make room, old among them.
func (n *Normalizer) roomForTemplate(e *exporter, d *domain, old *template, fields int, nowNs uint64) bool {
	fits := func() bool {
		count, more := 1, fields
		if old != nil && d.has(old) {
			count, more = 0, fields-len(old.fields)
		}
		templates, all := e.templates+count, e.fields+more
		return templates <= n.cfg.MaxExporterTemplates && all <= n.cfg.MaxExporterFields &&
			(templates <= grantedTemplates || n.templates+count <= n.cfg.MaxTemplates) &&
			(all <= granted || n.fields+more <= n.cfg.MaxTotalFields)
	}
	return fits() || n.dropExpired(e, nowNs) && fits()
}

// forgetTemplate gives up a template, unless it has been already.
func (n *Normalizer) forgetTemplate(e *exporter, d *domain, t *template) {
	if !d.has(t) {
		return
	}
	if d.templates[t.id] == t {
		delete(d.templates, t.id)
	} else {
		delete(d.variants, variant{t.id, t.port})
	}
	if d.last == t {
		d.last = nil
	}
	n.templates--
	n.fields -= len(t.fields)
	e.templates--
	e.fields -= len(t.fields)
	n.forgetNotice(t.notice)
	t.notice = nil
}

func (t *template) addFields(n *Normalizer, fields []netflow.Field, scope bool, kind flowv1.FlowType) {
	for _, f := range fields {
		id := f.Type
		if f.PenProvided {
			id &^= 0x8000 // goflow2 leaves the enterprise bit in options templates
		}
		g := field{element: elementOf(f.Pen, id), length: f.Length, scope: scope}
		v9 := kind == flowv1.FlowType_FLOW_TYPE_NETFLOW_V9
		if v9 && !scope {
			g.element = v9Element(id)
		}
		if v9 && scope {
			g.v9Scope, g.name = true, scopeName(id)
		} else {
			g.name = n.names.name(g.element)
		}
		g.form = formOf(g.name)
		if isList(g.element) && !g.v9Scope {
			g.form = formBytes
		}
		t.fields = append(t.fields, g)
	}
}

// nameApart gives fields of the same name numbers: the second is called name.2.
func (t *template) nameApart() {
	seen := make(map[string]int, len(t.fields))
	for i := range t.fields {
		f := &t.fields[i]
		if f.element == iePadding {
			continue
		}
		if seen[f.name]++; seen[f.name] > 1 {
			f.name += "." + itoa(seen[f.name])
		}
	}
}

// minLength is the length of the shortest record: a field of variable length
// has at least its length byte.
func minLength(fields []field) int {
	sum := 0
	for i := range fields {
		if fields[i].length == variable {
			sum++
		} else {
			sum += int(fields[i].length)
		}
	}
	return sum
}

// templateOf finds the template of a data set that was received from a port at nowNs;
// nil if there is none that may still be used.
func (d *domain) templateOf(id, port uint16, nowNs uint64) *template {
	t := d.known(id, port)
	if t == nil || nowNs > t.lifetime.untilNs && d.key.session == 0 {
		return nil
	}
	t.named(d.exp)
	return t
}
