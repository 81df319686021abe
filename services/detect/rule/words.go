package rule

import (
	"fmt"
	"strconv"
	"strings"
)

// Severity is OCSF's severity_id.
type Severity uint8

// The severities, as OCSF numbers them.
const (
	Informational Severity = iota + 1
	Low
	Medium
	High
	Critical
)

var severityWords = [...]string{"unknown", "informational", "low", "medium", "high", "critical"}

// String is the word in lower case.
func (s Severity) String() string {
	if int(s) < len(severityWords) {
		return severityWords[s]
	}
	return severityWords[0]
}

// MarshalText writes the word.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the word.
func (s *Severity) UnmarshalText(text []byte) error {
	for i, w := range severityWords[1:] {
		if strings.EqualFold(w, string(text)) {
			*s = Severity(i + 1)
			return nil
		}
	}
	return fmt.Errorf("%q is no severity: write one of %s", text, strings.Join(severityWords[1:], ", "))
}

// Service is a port of a protocol, in text 445/tcp.
type Service struct {
	Proto uint8
	Port  uint16
}

var protoWords = []struct {
	number uint8
	word   string
}{{1, "icmp"}, {6, "tcp"}, {17, "udp"}, {58, "icmp6"}, {132, "sctp"}}

func protoWord(p uint8) string {
	for _, w := range protoWords {
		if w.number == p {
			return w.word
		}
	}
	return "ip-" + strconv.Itoa(int(p))
}

// String is the service as people write it: 445/tcp; without a port, the protocol.
func (s Service) String() string {
	if s.Port == 0 {
		return protoWord(s.Proto)
	}
	return strconv.Itoa(int(s.Port)) + "/" + protoWord(s.Proto)
}

// MarshalText writes 445/tcp.
func (s Service) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads 445/tcp.
func (s *Service) UnmarshalText(text []byte) error {
	port, proto, _ := strings.Cut(string(text), "/")
	n, err := strconv.ParseUint(port, 10, 16)
	if err == nil && n > 0 {
		for _, w := range protoWords {
			if w.word == proto && w.number != 1 && w.number != 58 {
				*s = Service{Proto: w.number, Port: uint16(n)}
				return nil
			}
		}
	}
	return fmt.Errorf("%q is no service: write port/protocol, such as 445/tcp or 69/udp", text)
}
