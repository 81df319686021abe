package normalize

import "strconv"

// dataTypeAttribute is the IANA name of element 339.
const dataTypeAttribute = "informationElementDataType"

// maxElementName is the length in bytes up to which an exporter's name of an
// element is taken.
const maxElementName = 64

// elementType is what an exporter said of an element that only its maker knows
// (RFC 5610): its name, and how its values are to be read.
type elementType struct {
	name string
	form form
	atNs uint64
}

// dataTypeOf reads a data type's number (RFC 5610 §3.1).
func dataTypeOf(s string) (t uint8, ok bool) {
	v, err := strconv.ParseUint(s, 10, 8)
	return uint8(v), err == nil
}

// formOfDataType tells how values of an abstract data type (RFC 5610 §3.1) are
// written.
func formOfDataType(t uint8) form {
	switch t {
	case 0:
		return formBytes
	case 5, 6, 7, 8:
		return formSigned
	case 9, 10:
		return formFloat
	case 11:
		return formBoolean
	case 12:
		return formMAC
	case 13:
		return formText
	case 14:
		return formSeconds
	case 15:
		return formMillis
	case 16:
		return formNTPMicros
	case 17:
		return formNTP
	case 18, 19:
		return formAddress
	}
	return formNumber
}

// learnElement keeps what an options record said of an element, and uses it for
// the exporter's templates, those it has sent and those to come. Elements that we
// know are left as we know them. It returns false where there was no room.
func (n *Normalizer) learnElement(e *exporter, o *options, atNs uint64) (kept bool) {
	el := elementOf(uint32(o.pen), uint16(o.elementID)&^0x8000)
	name := o.elementName
	if el.pen() == 0 || el.pen() == penReverse || vendorName(el) != "" || len(name) > maxElementName || !printable(name) {
		return true
	}
	old, known := e.elements[el]
	if !known && !n.roomForOption(len(e.elements)) {
		return false
	}
	if known && old.atNs > atNs {
		return true
	}
	t := elementType{name: name, form: formOf(name), atNs: atNs}
	if o.hasDataType {
		t.form = formOfDataType(o.dataType)
	}
	if e.elements == nil {
		e.elements = map[element]elementType{}
	}
	if !known {
		n.options.used++
	}
	e.elements[el] = t
	if !known || old.name != t.name || old.form != t.form {
		e.elementsChanged++
	}
	return true
}

// named gives the fields of a template the names that the exporter has told for their
// elements by now. That is asked when a template is used: to go through all of them
// whenever a name is told would let an exporter take any amount of time.
func (t *template) named(e *exporter) {
	if t.elementsChanged == e.elementsChanged {
		return
	}
	t.elementsChanged = e.elementsChanged
	told := false
	for i := range t.fields {
		f := &t.fields[i]
		if et, ok := e.elements[f.element]; ok && !f.v9Scope {
			f.name, f.form = et.name, et.form
			told = true
		}
	}
	if told {
		t.nameApart()
	}
}
