package policy

import (
	"fmt"
	"math"

	"github.com/flowledger/flowledger/services/internal/netset"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// Message is the file as it goes to the stages: its number, and the stream time from
// which it holds, 0 for the start.
func (f *File) Message(version, effectiveFromNs uint64) *flowv1.Policy {
	m := &flowv1.Policy{Version: version, EffectiveFromNs: effectiveFromNs}
	for i := range f.Services {
		s := &f.Services[i]
		service := &flowv1.KnownService{Name: s.Name, Proto: uint32(s.Proto)}
		if s.Addr.IsValid() {
			service.Addr, service.PrefixLength = s.Addr.Addr().AsSlice(), uint32(s.Addr.Bits())
		}
		for _, p := range s.Ports {
			service.Ports = append(service.Ports, &flowv1.PortRange{First: uint32(p.First), Last: uint32(p.Last)})
		}
		m.Services = append(m.Services, service)
	}
	return m
}

// FromMessage is the file that a message may have come from.
func FromMessage(m *flowv1.Policy) (*File, error) {
	f := &File{}
	for i, service := range m.Services {
		if service.Proto > math.MaxUint8 {
			return nil, fmt.Errorf("services[%d]: %d is no protocol", i, service.Proto)
		}
		addr, err := netset.FromWire(service.Addr, service.PrefixLength)
		if err != nil {
			return nil, fmt.Errorf("services[%d]: %w", i, err)
		}
		s := Service{Name: service.Name, Addr: addr, Proto: Proto(service.Proto)}
		for _, p := range service.Ports {
			if p.First == 0 || p.First > p.Last || p.Last > math.MaxUint16 {
				return nil, fmt.Errorf("services[%d]: %d to %d is no range of ports", i, p.First, p.Last)
			}
			s.Ports = append(s.Ports, Ports{uint16(p.First), uint16(p.Last)})
		}
		f.Services = append(f.Services, s)
	}
	return f, nil
}
