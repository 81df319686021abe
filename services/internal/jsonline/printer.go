// Package jsonline prints wire messages as JSON objects in the project's one
// vocabulary, one to a line:
//
//	message ─▶ plan (made once per message type, from its descriptor) ─▶ {"flow_id":"1234",…}
//
// Names are the fields' own; times lose their _ns and are RFC 3339 with
// nanoseconds, UTC; addresses and MACs are text; enums are lower-case without
// their type's prefix; 64-bit ids are decimal strings, since JSON's readers
// round them, and 64-bit counts are numbers; other bytes are hexadecimal. Keys
// stand in the order of the schema. What is zero is left out, but for what a
// reader of the message counts on (see always).
package jsonline

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Printer prints messages. It keeps what it learned of their types, and is
// used by one goroutine at a time. The zero Printer is ready.
type Printer struct {
	plans map[protoreflect.FullName]*plan
	keys  []string
}

// Append appends the message as one JSON object, without a line end.
func (p *Printer) Append(dst []byte, m proto.Message) []byte {
	return p.object(dst, m.ProtoReflect())
}

func (p *Printer) object(dst []byte, m protoreflect.Message) []byte {
	pl := p.plan(m.Descriptor())
	ports, icmp := pl.proto.of(m)
	dst = append(dst, '{')
	first := true
	for i := range pl.fields {
		f := &pl.fields[i]
		if !f.wanted(ports, icmp) && !m.Has(f.desc) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, f.key...)
		dst = p.field(dst, f, m.Get(f.desc))
	}
	return append(dst, '}')
}

func (p *Printer) field(dst []byte, f *field, v protoreflect.Value) []byte {
	switch {
	case f.desc.IsList():
		list := v.List()
		dst = append(dst, '[')
		for i := range list.Len() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = p.value(dst, f, list.Get(i))
		}
		return append(dst, ']')
	case f.desc.IsMap():
		return p.stringMap(dst, v.Map())
	}
	return p.value(dst, f, v)
}

func (p *Printer) value(dst []byte, f *field, v protoreflect.Value) []byte {
	switch f.kind {
	case kindMessage:
		return p.object(dst, v.Message())
	case kindTime:
		return AppendTime(dst, v.Uint())
	case kindMAC:
		return AppendMAC(dst, v.Uint())
	case kindAddr:
		return AppendAddr(dst, v.Bytes())
	case kindBytes:
		return AppendHex(dst, v.Bytes())
	case kindID:
		return appendID(dst, v.Uint())
	case kindEnum:
		return f.appendEnum(dst, v.Enum())
	}
	return appendScalar(dst, f.desc.Kind(), v)
}

// stringMap prints a map of strings in the order of its keys.
func (p *Printer) stringMap(dst []byte, m protoreflect.Map) []byte {
	p.keys = sortedKeys(p.keys[:0], m)
	dst = append(dst, '{')
	for i, k := range p.keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, k)
		dst = append(dst, ':')
		dst = AppendString(dst, m.Get(protoreflect.ValueOfString(k).MapKey()).String())
	}
	return append(dst, '}')
}
