package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/policy"
	"github.com/flowledger/flowledger/services/internal/stage"
)

// policyApplier is one invocation of `flowctl policy apply`.
type policyApplier struct {
	settings
	in time.Duration
}

func newPolicyApplyCommand() *cobra.Command {
	p := &policyApplier{}
	c := &cobra.Command{
		Use:     "apply FILE",
		Aliases: []string{"push"},
		Short:   "Make a policy hold; what holds already stays as it is",
		Args:    onePolicy,
		RunE: func(c *cobra.Command, args []string) error {
			f, err := loadPolicy(args[0])
			if err != nil {
				return err
			}
			if err := p.load(); err != nil {
				return err
			}
			return p.run(c, f)
		},
	}
	p.addFlags(c, kafkaFlags...)
	c.Flags().DurationVar(&p.in, "in", 30*time.Second, "how far ahead it begins to hold, at least "+stage.LeastPolicyLead.String())
	return c
}

func (p *policyApplier) run(c *cobra.Command, f *policy.File) error {
	if p.in < stage.LeastPolicyLead {
		return usageError{fmt.Errorf("--in %s is too soon: every service must know a policy before it holds; give at least %s", p.in, stage.LeastPolicyLead)}
	}
	log, all, err := p.policies(c.Context())
	if err != nil {
		return err
	}
	defer log.Close()
	if n := len(all); n > 0 && sameServices(&all[n-1], f) {
		fmt.Fprintf(c.ErrOrStderr(), "version %d says the same: nothing to do\n", all[n-1].Version)
		return nil
	}
	logged, err := writePolicy(c.Context(), log, all, f, eventtime.TickOf(uint64(time.Now().Add(p.in).UnixNano())))
	if err != nil {
		return err
	}
	// By the broker's clock: if ours is wrong, it shows here.
	ahead := time.Unix(0, int64(logged.From.Ns())).Sub(logged.Written)
	fmt.Fprintf(c.ErrOrStderr(), "version %d holds from %s, in %s: %s\n", logged.Version, tickText(logged.From), ahead.Round(time.Second), plural(uint64(len(f.Services)), "service"))
	return nil
}

// sameServices tells that a policy says what a file says.
func sameServices(logged *stage.LoggedPolicy, f *policy.File) bool {
	var m flowv1.Policy
	if m.UnmarshalVT(logged.Raw) != nil {
		return false
	}
	there, err := policy.FromMessage(&m)
	return err == nil && slices.Equal(there.YAML(), f.YAML())
}

// writePolicy writes a policy under the next version.
func writePolicy(ctx context.Context, log *stage.PolicyLog, all []stage.LoggedPolicy, f *policy.File, from eventtime.Tick) (stage.LoggedPolicy, error) {
	version := int64(1)
	if n := len(all); n > 0 {
		version = all[n-1].Version + 1
	}
	raw, err := f.Message(uint64(version), from.Ns()).MarshalVT()
	if err != nil {
		return stage.LoggedPolicy{}, fmt.Errorf("cannot encode the policy: %w", err)
	}
	logged, err := log.Append(ctx, version, from, raw)
	if errors.Is(err, stage.ErrPolicyTaken) {
		err = fmt.Errorf("%w; look at it with `flowctl policy show`, and apply yours again if it is to replace it", err)
	}
	return logged, err
}

// tickText is when a tick begins.
func tickText(t eventtime.Tick) string {
	if t == 0 {
		return "the start"
	}
	return time.Unix(0, int64(t.Ns())).UTC().Format("2006-01-02T15:04:05.0Z")
}
