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
	Services []Service `yaml:"services"`
}

// Service is what a host, a network's hosts, or anybody may be asked for.
type Service struct {
	// Name is for people.
	Name string `yaml:"name"`
	// Addr is where the servers are; without it they may be anywhere.
	Addr netset.Prefix `yaml:"addr"`
	// Proto is how they are spoken to, Ports where they listen.
	Proto Proto   `yaml:"proto"`
	Ports []Ports `yaml:"ports"`
}

// Load reads a policy file.
func Load(path string) (*File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the policy: %w", err)
	}
	f := &File{}
	if err := conf.LoadYAML(f, path, data); err != nil {
		return nil, err
	}
	if err := f.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// Validate names every key that breaks a rule.
func (f *File) Validate() error {
	var errs []error
	for i := range f.Services {
		errs = append(errs, conf.Under(fmt.Sprintf("services[%d]", i), f.Services[i].validate()))
	}
	return errors.Join(errs...)
}

func (s *Service) validate() error {
	var errs []error
	if s.Proto == 0 {
		errs = append(errs, conf.Invalid("proto", "is needed", "write tcp, udp, sctp, dccp or udplite"))
	}
	if len(s.Ports) == 0 {
		errs = append(errs, conf.Invalid("ports", "at least one is needed", "list what the servers listen on, as in [443, 8000-8099]"))
	}
	return errors.Join(errs...)
}
