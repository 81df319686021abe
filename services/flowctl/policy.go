package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/flowledger/flowledger/services/internal/stage"
)

const policyLong = `Tell Flowledger what is known of the network: which servers are yours. stitch then
takes them for servers, whatever IANA's registry says of the ports.

A policy is a YAML file, the whole of it; the one applied last counts:

  services:
  - name: orders               # for people
    addr: 10.20.0.0/16         # a network or an address; without it, servers anywhere
    proto: tcp                 # tcp, udp, sctp, dccp or udplite
    ports: [8443, 9000-9010]

It goes to the topic "policy", under a version that rises, and holds in all partitions
from the same moment, which lies a little ahead: nothing is restarted. Captures take
it from the start: flowctl run --policy, flowctl publish --policy.`

const policyExample = `  flowctl policy check policy.yaml
  flowctl policy apply policy.yaml
  flowctl policy show
  flowctl policy show --version 2 > before.yaml && flowctl policy apply before.yaml`

func newPolicyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "policy",
		Short:   "Declare servers: check, apply or show the policy",
		Long:    policyLong,
		Example: policyExample,
		Args:    unknownCommand,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.SuggestionsMinimumDistance = 2
	c.AddCommand(newPolicyCheckCommand(), newPolicyApplyCommand(), newPolicyShowCommand())
	return c
}

// onePolicy wants one file.
func onePolicy(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageError{fmt.Errorf("name one policy file, as in `%s policy.yaml`", c.CommandPath())}
	}
	return nil
}

func newPolicyCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Refuse a wrong policy file, and say what is wrong",
		Args:  onePolicy,
		RunE: func(c *cobra.Command, args []string) error {
			f, err := loadPolicy(args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(c.ErrOrStderr(), "%s is a policy of %s\n", args[0], plural(uint64(len(f.Services)), "service"))
			return nil
		},
	}
}

// policies opens the log of policies and reads it.
func (s *settings) policies(ctx context.Context) (*stage.PolicyLog, []stage.LoggedPolicy, error) {
	peek := stage.NewPeek(s.cfg.Kafka)
	defer peek.Close()
	n, err := peek.Partitions(ctx, stage.Policy)
	if err != nil {
		return nil, nil, fmt.Errorf("%w; is Kafka there, and kafka.brokers right?", err)
	}
	if n == 0 {
		return nil, nil, fmt.Errorf("there is no topic %s; `flowctl topics create` makes it", s.cfg.Kafka.Topic(stage.Policy))
	}
	log := stage.NewPolicyLog(s.cfg.Kafka)
	all, err := log.Read(ctx)
	if err != nil {
		log.Close()
		return nil, nil, err
	}
	return log, all, nil
}
