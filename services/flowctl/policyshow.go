package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/policy"
)

func newPolicyShowCommand() *cobra.Command {
	var s settings
	var version int64
	c := &cobra.Command{
		Use:   "show",
		Short: "Print the policy that was applied last, as a file that can be applied",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := s.load(); err != nil {
				return err
			}
			return s.showPolicy(c, version)
		},
	}
	s.addFlags(c, kafkaFlags...)
	c.Flags().Int64Var(&version, "version", 0, "print this version instead of the last")
	return c
}

func (s *settings) showPolicy(c *cobra.Command, version int64) error {
	log, all, err := s.policies(c.Context())
	if err != nil {
		return err
	}
	log.Close()
	if len(all) == 0 {
		fmt.Fprintln(c.ErrOrStderr(), "there is no policy; `flowctl policy apply FILE` makes one hold")
		return nil
	}
	at := len(all) - 1
	for i := range all {
		if all[i].Version == version {
			at = i
		}
	}
	if version > 0 && all[at].Version != version {
		return fmt.Errorf("there is no version %d; the last is %d", version, all[at].Version)
	}
	var m flowv1.Policy
	if err := m.UnmarshalVT(all[at].Raw); err != nil {
		return fmt.Errorf("version %d is no policy: %w", all[at].Version, err)
	}
	f, err := policy.FromMessage(&m)
	if err != nil {
		return fmt.Errorf("version %d is no policy: %w", all[at].Version, err)
	}
	fmt.Fprintf(c.OutOrStdout(), "# version %d of %d, written %s, holds from %s\n%s", all[at].Version, all[len(all)-1].Version,
		all[at].Written.UTC().Format(time.RFC3339), tickText(all[at].From), f.YAML())
	return nil
}
