// Package policy is what the people who run a network declare about it: a YAML
// file that they write, and the message of topic `policy` that it becomes.
//
//	policy.yaml ─▶ Load ─▶ File ─▶ Message ─▶ stages
//	                        ▲                   │
//	                        ╰──── FromMessage ◀─╯
package policy

import (
	"errors"
	"fmt"
	"os"

	"github.com/flowledger/flowledger/services/internal/conf"
	"github.com/flowledger/flowledger/services/internal/netset"
)

// File is a policy as people write it.
type File struct {
	Services []Service
}

// Service is what a host, a network's hosts, or anybody may be asked for.
type Service struct {
	// Name is for people.
	Name string
	// Addr is where the servers are; where it is not valid they may be anywhere.
	Addr netset.Prefix
	// Proto is how they are spoken to, Ports where they listen.
	Proto Proto
	Ports []Ports
}

// text is the file's form. The words in it are read here: the YAML library takes
// time by the square of the file's length for types that read themselves.
type text struct {
	Services []serviceText `yaml:"services"`
}

type serviceText struct {
	Name  string   `yaml:"name"`
	Addr  string   `yaml:"addr"`
	Proto string   `yaml:"proto"`
	Ports []string `yaml:"ports"`
}

// Load reads a policy file.
func Load(path string) (*File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the policy: %w", err)
	}
	var t text
	if err := conf.LoadYAML(&t, path, data); err != nil {
		return nil, err
	}
	f := &File{Services: make([]Service, len(t.Services))}
	var errs []error
	for i := range t.Services {
		errs = append(errs, conf.Under(fmt.Sprintf("services[%d]", i), t.Services[i].read(&f.Services[i])))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// read names every key that breaks a rule.
func (t *serviceText) read(s *Service) error {
	var errs []error
	var err error
	s.Name = t.Name
	if t.Addr != "" {
		if s.Addr, err = netset.Parse(t.Addr); err != nil {
			errs = append(errs, fmt.Errorf("addr: %w", err))
		}
	}
	if s.Proto, err = parseProto(t.Proto); err != nil {
		errs = append(errs, err)
	}
	if len(t.Ports) == 0 {
		errs = append(errs, conf.Invalid("ports", "at least one is needed", "list what the servers listen on, as in [443, 8000-8099]"))
	}
	for i, word := range t.Ports {
		p, err := parsePorts(fmt.Sprintf("ports[%d]", i), word)
		if err != nil {
			errs = append(errs, err)
		}
		s.Ports = append(s.Ports, p)
	}
	return errors.Join(errs...)
}
