package policy

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/flowledger/flowledger/services/internal/conf"
)

// Proto is a protocol that has ports.
type Proto uint8

var protoNames = []struct {
	name   string
	number Proto
}{{"tcp", 6}, {"udp", 17}, {"sctp", 132}, {"dccp", 33}, {"udplite", 136}}

func parseProto(word string) (Proto, error) {
	for _, known := range protoNames {
		if strings.EqualFold(known.name, word) {
			return known.number, nil
		}
	}
	const fix = "write tcp, udp, sctp, dccp or udplite"
	if word == "" {
		return 0, conf.Invalid("proto", "is needed", fix)
	}
	return 0, conf.Invalid("proto", strconv.Quote(word)+" is no protocol that has ports", fix)
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

// parsePorts reads one port, or a range: 8000-8099.
func parsePorts(key, word string) (Ports, error) {
	first, last, isRange := strings.Cut(word, "-")
	if !isRange {
		last = first
	}
	a, errA := strconv.ParseUint(strings.TrimSpace(first), 10, 16)
	b, errB := strconv.ParseUint(strings.TrimSpace(last), 10, 16)
	if errA != nil || errB != nil || a == 0 || a > b {
		return Ports{}, conf.Invalid(key, strconv.Quote(word)+" is no port and no range of ports", "write a number from 1 to %d, or two with a dash between them, the lower first", math.MaxUint16)
	}
	return Ports{uint16(a), uint16(b)}, nil
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
