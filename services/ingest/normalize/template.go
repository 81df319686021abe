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
	// raw is the template record as it came, without the set's header.
	raw []byte
	// options tells that its records describe the exporter.
	options bool
	fields  []field
	plan    plan
	// receivedNs is when it came last; for expiry (RFC 7011 §8.4).
	receivedNs uint64
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
	name   string
	form   form
}

// templateSet reads a set of templates, or of options templates, record by
// record. goflow2 takes them apart, once it is sure that a record ends within
// the set: goflow2 takes memory for as many fields as a record claims to have.
func (n *Normalizer) templateSet(m *message, set []byte, options bool, out *Result) {
	v9 := m.kind == flowv1.FlowType_FLOW_TYPE_NETFLOW_V9
	for len(set) >= templateHeader {
		if !v9 && binary.BigEndian.Uint16(set[2:]) == 0 {
			// A withdrawal, which over UDP means nothing (RFC 7011 §8.4), or padding.
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

// addTemplate stores a template that is new or changed, within bounds, and says
// so to the others. A template whose records could be of length zero is refused
// in silence: it is a withdrawal, padding, or an attack (its data sets would
// hold records without end).
func (n *Normalizer) addTemplate(m *message, r *templateRecord, raw []byte, out *Result) {
	if r.id < 256 {
		return
	}
	d := m.dom
	if old := d.templates[r.id]; old != nil && old.options == r.isOptions && bytes.Equal(old.raw, raw) {
		old.receivedNs = m.receivedNs
		return
	}
	t := &template{id: r.id, raw: append([]byte(nil), raw...), options: r.isOptions, receivedNs: m.receivedNs}
	t.addFields(n, r.scopes, true, m.kind)
	t.addFields(n, r.options, false, m.kind)
	if minLength(t.fields) == 0 {
		return
	}
	if d.templates[r.id] == nil {
		if n.templates >= n.cfg.MaxTemplates || m.exp.templates >= n.cfg.MaxExporterTemplates {
			out.RefusedTemplates++
			return
		}
		n.templates++
		m.exp.templates++
	}
	t.plan = compile(t, m.exp.policy)
	if d.templates == nil {
		d.templates = map[uint16]*template{}
	}
	d.templates[r.id] = t
	d.last = t
	out.Facts = append(out.Facts, &flowv1.ExporterFact{
		Type: m.kind, Kind: flowv1.ExporterFactKind_EXPORTER_FACT_KIND_TEMPLATE,
		SamplerAddress: d.agentWire, ObservationDomainId: d.key.id, TimeReceivedNs: m.receivedNs,
		TemplateId: uint32(r.id), Template: t.raw, RecordId: m.nextID(),
	})
}

func (t *template) addFields(n *Normalizer, fields []netflow.Field, scope bool, kind flowv1.FlowType) {
	for _, f := range fields {
		id := f.Type
		if f.PenProvided {
			id &^= 0x8000 // goflow2 leaves the enterprise bit in options templates
		}
		g := field{element: elementOf(f.Pen, id), length: f.Length, scope: scope}
		if scope && kind == flowv1.FlowType_FLOW_TYPE_NETFLOW_V9 {
			g.name = scopeName(id)
		} else {
			g.name = n.names.name(g.element)
		}
		g.form = formOf(g.name)
		t.fields = append(t.fields, g)
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

// templateOf finds a template by the id of a data set.
func (d *domain) templateOf(id uint16) *template {
	if d.last != nil && d.last.id == id {
		return d.last
	}
	t := d.templates[id]
	if t != nil {
		d.last = t
	}
	return t
}
