package normalize

import (
	"encoding/binary"
	"strings"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

const (
	// maxListDepth is how deep lists may stand in lists.
	maxListDepth = 3
	// maxListAttributes is how many attributes of an event may come out of lists;
	// beyond, the list is kept as it came.
	maxListAttributes = 128
)

// isList tells whether an element holds a list (RFC 6313 §4.5): of values, of
// records of one template, or of several.
func isList(e element) bool {
	switch e {
	case ieBasicList, ieSubTemplateList, ieSubTemplateMultiList, ieYAFDPIList, ieYAFDetailsList, ieBGPSourceCommunities, ieBGPDestinationCommunities,
		ieBGPSourceExtended, ieBGPDestinationExtended, ieBGPSourceLarge, ieBGPDestinationLarge:
		return true
	}
	return false
}

// decorates tells which operations the records in a list of a flow may do: they
// add to the flow, and change neither its key nor its volume nor its times.
func (o op) decorates() bool {
	switch o {
	case opTCPFlags, opInitialFlags, opUnionFlags, opReverseFlags, opReverseInitialFlags, opReverseUnionFlags,
		opSrcMAC, opDstMAC, opSrcVLAN, opDstVLAN, opMPLSLabel, opApplicationID, opApplicationName, opUser,
		opHTTPHost, opHTTPURL, opDNSName:
		return true
	}
	return false
}

// listReader is what is done with the lists of a record: either they decorate a
// flow, or they become attributes of an event.
type listReader struct {
	n *Normalizer
	m *message

	flow    *flowv1.Flow
	scratch *scratch
	out     *Result

	attributes *map[string]string
	left       int // attributes that may still come
	// whole tells that everything was read.
	whole bool

	spans [maxListDepth][]span
}

// decorate reads the lists of a record that is a flow. What they say of flags is
// added to what the record says, and the first of what they say of the rest counts.
func (n *Normalizer) decorate(m *message, t *template, data []byte, bounds []span, f *flowv1.Flow, s *scratch, out *Result) {
	r := &n.lists
	r.n, r.m, r.flow, r.scratch, r.out, r.attributes = n, m, f, s, out, nil
	for _, i := range t.plan.lists {
		r.read(t.fields[i].element, t.value(i, data, bounds), 0)
	}
	r.flow, r.scratch, r.out = nil, nil, nil
}

// listAttributes writes a list as attributes of an event, and tells whether all of
// it could be.
func (n *Normalizer) listAttributes(m *message, e element, b []byte, attributes *map[string]string, left *int) bool {
	r := &n.lists
	r.n, r.m, r.flow, r.attributes, r.left, r.whole = n, m, nil, attributes, *left, true
	r.read(e, b, 0)
	*left, r.attributes = r.left, nil
	return r.whole
}

// read reads a list. One that cannot be read to its end is left there.
func (r *listReader) read(e element, b []byte, depth int) {
	if depth == maxListDepth || len(b) < 1 {
		r.whole = r.whole && len(b) == 0
		return
	}
	b = b[1:] // semantic: all of, one of, …
	switch e {
	case ieSubTemplateList, ieYAFDPIList, ieYAFDetailsList:
		if len(b) < 2 {
			r.whole = false
			return
		}
		r.records(binary.BigEndian.Uint16(b), b[2:], depth)
	case ieSubTemplateMultiList:
		for len(b) >= 4 {
			id, length := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
			if length < 4 || length > len(b) {
				break
			}
			r.records(id, b[4:length], depth)
			b = b[length:]
		}
		r.whole = r.whole && len(b) == 0
	default:
		r.values(e, b)
	}
}

// records reads the records of a template.
func (r *listReader) records(id uint16, b []byte, depth int) {
	t := r.m.dom.known(id, r.m.port)
	if t == nil || t.options {
		r.whole = false
		return
	}
	t.named(r.m.exp)
	for len(b) >= t.plan.min {
		size := t.plan.min
		var bounds []span
		if !t.plan.fixed {
			r.spans[depth], size = measure(r.spans[depth][:0], t, b)
			if size < 0 {
				break
			}
			bounds = r.spans[depth]
		}
		r.record(t, b[:size], bounds, depth)
		b = b[size:]
	}
	r.whole = r.whole && zero(b)
}

func (r *listReader) record(t *template, data []byte, bounds []span, depth int) {
	if f := r.flow; f != nil {
		flags, initial := f.TcpFlags, f.InitialTcpFlags
		r.n.run(r.m, t, t.plan.decor, data, bounds, f, r.scratch, r.out)
		f.TcpFlags |= flags
		if initial != 0 {
			f.InitialTcpFlags = initial
		}
		switch {
		case t.plan.record != nil:
			r.n.dns.begin(t, data, bounds)
		case r.n.dns.open:
			r.n.dns.fill(t, data, bounds)
		}
	}
	for i := range t.fields {
		f := &t.fields[i]
		b := t.value(i, data, bounds)
		switch {
		case f.element == iePadding || len(b) == 0:
		case isList(f.element):
			r.read(f.element, b, depth+1)
		default:
			r.attribute(f.name, f.form, b)
		}
	}
	if t.plan.record != nil {
		r.n.dns.open = false
	}
}

// attribute adds an attribute to the event.
func (r *listReader) attribute(name string, f form, b []byte) {
	switch {
	case r.attributes == nil:
	case r.left == 0:
		r.whole = false
	default:
		r.left--
		setAttribute(r.attributes, name, render(f, b, r.m.receivedNs))
	}
}

// values reads the values of one element (RFC 6313 §4.5.1). Those of an event
// become one attribute.
func (r *listReader) values(list element, b []byte) {
	if len(b) < 4 {
		r.whole = false
		return
	}
	id, length := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
	b = b[4:]
	e := element(id)
	if id&0x8000 != 0 {
		if len(b) < 4 {
			r.whole = false
			return
		}
		e, b = elementOf(binary.BigEndian.Uint32(b), id&^0x8000), b[4:]
	}
	name := r.n.names.name(e)
	form := formOf(name)
	var text strings.Builder
	for len(b) > 0 {
		v, rest, ok := cutValue(b, length)
		if !ok {
			r.whole = false
			break
		}
		b = rest
		if r.flow != nil {
			r.value(list, e, v)
			continue
		}
		if text.Len() > 0 {
			text.WriteByte(',')
		}
		text.WriteString(render(form, v, r.m.receivedNs))
	}
	if r.attributes != nil && text.Len() > 0 {
		if r.left == 0 {
			r.whole = false
			return
		}
		r.left--
		setAttribute(r.attributes, name, text.String())
	}
}

// cutValue cuts one value of a length, or of variable length, off.
func cutValue(b []byte, length int) (v, rest []byte, ok bool) {
	switch length {
	case 0:
		return nil, nil, false
	case variable:
		length, b = int(b[0]), b[1:]
		if length == 255 {
			if len(b) < 2 {
				return nil, nil, false
			}
			length, b = int(binary.BigEndian.Uint16(b)), b[2:]
		}
	}
	if length > len(b) {
		return nil, nil, false
	}
	return b[:length], b[length:], true
}

// value puts a value of a list into a flow, where flows have a place for lists or
// the first of several counts.
func (r *listReader) value(list, e element, v []byte) {
	f := r.flow
	switch {
	case e == ieBGPCommunity && list == ieBGPDestinationCommunities && len(v) == 4 && len(f.BgpCommunities) < maxListAttributes:
		f.BgpCommunities = append(f.BgpCommunities, binary.BigEndian.Uint32(v))
	case e == ieEgressInterface && f.OutIf == 0: // of a multicast packet, one of several
		f.OutIf = uint32(uintOf(v))
	}
}
