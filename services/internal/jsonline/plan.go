package jsonline

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// kind is how a field is printed, where its type alone does not say.
type kind int

const (
	kindScalar kind = iota
	kindTime
	kindMAC
	kindAddr
	kindBytes
	kindID
	kindEnum
	kindMessage
)

// need says when a field is printed though it is zero.
type need int

const (
	needSet   need = iota // never
	needAll               // always
	needPorts             // where the protocol has ports
	needICMP              // where the protocol is ICMP
)

// plan is how a type of message is printed.
type plan struct {
	fields []field
	proto  protoField
}

// field is one field of a plan.
type field struct {
	desc protoreflect.FieldDescriptor
	// key is `"name":`.
	key  string
	kind kind
	need need
	// enum holds the printed names by number.
	enum map[protoreflect.EnumNumber]string
}

// always lists, per message, the fields that are printed even when they are
// zero: what DESIGN.md says a biflow says, and what makes a flow a flow.
var always = map[protoreflect.FullName]string{
	"flow.v1.Biflow": "flow_id version realm proto client_addr client_port server_addr server_port " +
		"client_bytes client_packets client_tcp_flags server_bytes server_packets server_tcp_flags " +
		"time_flow_start_ns time_flow_end_ns initiator_evidence initiator_confidence conn_state close_reason reporters",
	"flow.v1.Flow":         "src_addr dst_addr proto bytes packets sampler_address",
	"flow.v1.Reporter":     "sampler_address",
	"flow.v1.Event":        "kind sampler_address",
	"flow.v1.ExporterFact": "kind sampler_address",
}

// where lists the fields that depend on the protocol.
var where = map[protoreflect.Name]need{
	"src_port": needPorts, "dst_port": needPorts, "icmp_type": needICMP, "icmp_code": needICMP,
}

func (p *Printer) plan(d protoreflect.MessageDescriptor) *plan {
	if pl, ok := p.plans[d.FullName()]; ok {
		return pl
	}
	if p.plans == nil {
		p.plans = make(map[protoreflect.FullName]*plan)
	}
	pl := newPlan(d)
	p.plans[d.FullName()] = pl
	return pl
}

func newPlan(d protoreflect.MessageDescriptor) *plan {
	pl := &plan{}
	needed := make(map[string]bool)
	for _, name := range strings.Fields(always[d.FullName()]) {
		needed[name] = true
	}
	byProtocol := d.FullName() == "flow.v1.Flow" || d.FullName() == "flow.v1.Biflow"
	for i := range d.Fields().Len() {
		fd := d.Fields().Get(i)
		f := field{desc: fd, kind: kindOf(fd)}
		f.key = `"` + strings.TrimSuffix(string(fd.Name()), "_ns") + `":`
		switch {
		case needed[string(fd.Name())]:
			f.need = needAll
		case byProtocol:
			f.need = where[fd.Name()]
		}
		if f.kind == kindEnum {
			f.enum = enumNames(fd.Enum())
		}
		pl.fields = append(pl.fields, f)
	}
	if byProtocol {
		pl.proto.desc = d.Fields().ByName("proto")
	}
	return pl
}

// kindOf tells by type and name what a field holds.
func kindOf(fd protoreflect.FieldDescriptor) kind {
	name := string(fd.Name())
	switch fd.Kind() {
	case protoreflect.MessageKind:
		return kindMessage
	case protoreflect.EnumKind:
		return kindEnum
	case protoreflect.Fixed64Kind:
		return kindID
	case protoreflect.BytesKind:
		for _, end := range []string{"addr", "_address", "next_hop", "_ip", "host"} {
			if strings.HasSuffix(name, end) {
				return kindAddr
			}
		}
		return kindBytes
	case protoreflect.Uint64Kind:
		switch {
		case strings.HasSuffix(name, "_ns"):
			return kindTime
		case strings.HasSuffix(name, "_mac"):
			return kindMAC
		}
	}
	return kindScalar
}

// enumNames prints CONN_STATE_HALF_OPEN of ConnState as "half_open".
func enumNames(d protoreflect.EnumDescriptor) map[protoreflect.EnumNumber]string {
	zero := string(d.Values().ByNumber(0).Name())
	prefix := strings.TrimSuffix(zero, "UNSPECIFIED")
	names := make(map[protoreflect.EnumNumber]string)
	for i := range d.Values().Len() {
		v := d.Values().Get(i)
		names[v.Number()] = `"` + strings.ToLower(strings.TrimPrefix(string(v.Name()), prefix)) + `"`
	}
	return names
}

// protoField is where a message says its IP protocol.
type protoField struct{ desc protoreflect.FieldDescriptor }

func (p protoField) of(m protoreflect.Message) (ports, icmp bool) {
	if p.desc == nil {
		return false, false
	}
	n := m.Get(p.desc).Uint()
	return n < 256 && flow.HasPorts(uint8(n)), n == flow.ProtoICMP || n == flow.ProtoICMPv6
}

// wanted tells whether the field is printed though it is zero.
func (f *field) wanted(ports, icmp bool) bool {
	switch f.need {
	case needAll:
		return true
	case needPorts:
		return ports
	case needICMP:
		return icmp
	}
	return false
}
