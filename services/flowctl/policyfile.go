package main

import (
	"github.com/spf13/cobra"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/policy"
)

// policyFile is the flag that names a policy for captures.
type policyFile string

func (p *policyFile) addFlag(c *cobra.Command) {
	c.Flags().StringVar((*string)(p), "policy", "", "a policy that holds from the start, a YAML file; see docs/howto/policy.md")
	_ = c.MarkFlagFilename("policy", "yaml", "yml")
}

// fromStart reads the policy; nil if none was named.
func (p policyFile) fromStart() (*flowv1.Policy, error) {
	if p == "" {
		return nil, nil
	}
	f, err := policy.Load(string(p))
	if err != nil {
		return nil, usageError{err}
	}
	return f.Message(1, 0), nil
}
