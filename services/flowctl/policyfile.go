package main

import (
	"fmt"

	"github.com/spf13/cobra"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/policy"
	"github.com/flowledger/flowledger/services/internal/stage"
	"github.com/flowledger/flowledger/services/stitch/biflow"
)

// policyFile is the flag that names a policy for captures.
type policyFile string

func (p *policyFile) addFlag(c *cobra.Command) {
	c.Flags().StringVar((*string)(p), "policy", "", "a policy that holds from the start, a YAML file; see `flowctl policy --help`")
	_ = c.MarkFlagFilename("policy", "yaml", "yml")
}

// load reads the policy; nil if none was named.
func (p policyFile) load() (*policy.File, error) {
	if p == "" {
		return nil, nil
	}
	return loadPolicy(string(p))
}

// fromStart reads the policy as one that holds from the start; nil if none was named.
func (p policyFile) fromStart() (*flowv1.Policy, error) {
	f, err := p.load()
	if f == nil {
		return nil, err
	}
	return f.Message(1, 0), nil
}

// loadPolicy reads a policy that stages can go by, and that fits into a message.
func loadPolicy(path string) (*policy.File, error) {
	f, err := policy.Load(path)
	if err != nil {
		return nil, usageError{err}
	}
	m := f.Message(1, 0)
	if err := biflow.New(biflow.Default()).Policy(m); err != nil {
		return nil, usageError{fmt.Errorf("%s: %w", path, err)}
	}
	if n := m.SizeVT(); n > stage.MaxPolicyBytes {
		return nil, usageError{fmt.Errorf("%s: a policy is one message of at most %s, and this has %s; name networks instead of addresses", path, size(stage.MaxPolicyBytes), size(uint64(n)))}
	}
	return f, nil
}
