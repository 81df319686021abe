package policy

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Proto is a protocol that has ports.
type Proto uint8

var protoNames = []struct {
	name   string
	number Proto
}{{"tcp", 6}, {"udp", 17}, {"sctp", 132}, {"dccp", 33}, {"udplite", 136}}

// UnmarshalText reads a protocol's name.
func (p *Proto) UnmarshalText(text []byte) error {
	for _, known := range protoNames {
		if strings.EqualFold(known.name, string(text)) {
			*p = known.number
			return nil
		}
	}
	return fmt.Errorf("write tcp, udp, sctp, dccp or udplite, the protocols that have ports")
}

func (p Proto) String() string {
	for _, known := range protoNames {
		if known.number == p {
			return known.name
		}
	}
	return strconv.Itoa(int(p))
}

// Ports are the ports from the first to the last.
type Ports struct{ First, Last uint16 }

// UnmarshalText reads one port, or a range: 8000-8099.
func (p *Ports) UnmarshalText(text []byte) error {
	first, last, isRange := strings.Cut(string(text), "-")
	if !isRange {
		last = first
	}
	a, errA := strconv.ParseUint(strings.TrimSpace(first), 10, 16)
	b, errB := strconv.ParseUint(strings.TrimSpace(last), 10, 16)
	if errA != nil || errB != nil || a == 0 || a > b {
		return fmt.Errorf("write a port from 1 to %d, or two with a dash between them, the lower first", math.MaxUint16)
	}
	*p = Ports{uint16(a), uint16(b)}
	return nil
}

func (p Ports) String() string {
	if p.First == p.Last {
		return strconv.Itoa(int(p.First))
	}
	return fmt.Sprintf("%d-%d", p.First, p.Last)
}

// YAML is the file as it could have been written.
func (f *File) YAML() []byte {
	if len(f.Services) == 0 {
		return []byte("services: []\n")
	}
	b := bytes.NewBufferString("services:\n")
	for i := range f.Services {
		s := &f.Services[i]
		ports := make([]string, len(s.Ports))
		for i, p := range s.Ports {
			ports[i] = p.String()
		}
		fmt.Fprintf(b, "- proto: %s\n  ports: [%s]\n", s.Proto, strings.Join(ports, ", "))
		if s.Addr.IsValid() {
			fmt.Fprintf(b, "  addr: %s\n", s.Addr)
		}
		if s.Name != "" {
			fmt.Fprintf(b, "  name: %q\n", s.Name)
		}
	}
	return b.Bytes()
}
