package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/flowledger/flowledger/services/internal/stage"
)

const topicsLong = `Create the topics that are missing and check that all have the configured numbers
of partitions. Topics that exist are never changed: what is partitioned otherwise
is refused, since records would be looked for where they are not.

--kafka.topic_prefix stands before every name: one prefix is one timeline.`

const topicsExample = `  flowctl topics
  flowctl topics list --kafka.brokers kafka1:9092,kafka2:9092
  flowctl topics create --kafka.partitions.conversations 12 --kafka.replication_factor 3
  flowctl topics check --kafka.topic_prefix test.`

func newTopicsCommand() *cobra.Command {
	var s settings
	c := &cobra.Command{
		Use:     "topics",
		Short:   "Create, list or check the Kafka topics",
		Long:    topicsLong,
		Example: topicsExample,
		Args:    unknownCommand,
		RunE:    func(c *cobra.Command, _ []string) error { return s.createTopics(c) },
	}
	c.SuggestionsMinimumDistance = 2
	s.addFlags(c, append(kafkaFlags, "kafka.partitions.conversations", "kafka.partitions.hosts", "kafka.partitions.exporters", "kafka.replication_factor")...)
	for _, sub := range []*cobra.Command{
		{
			Use: "create", Short: "Create what is missing, check the rest (the default)", Args: noArgs,
			RunE: func(c *cobra.Command, _ []string) error { return s.createTopics(c) },
		},
		{
			Use: "list", Short: "List the topics with their partitions and how many messages they hold", Args: noArgs,
			RunE: func(c *cobra.Command, _ []string) error { return s.listTopics(c) },
		},
		{
			Use: "check", Short: "Fail unless all topics are there with the configured partitions", Args: noArgs,
			RunE: func(c *cobra.Command, _ []string) error { return s.checkTopics(c) },
		},
	} {
		sub.Flags().AddFlagSet(c.Flags())
		c.AddCommand(sub)
	}
	return c
}

func (s *settings) createTopics(c *cobra.Command) error {
	if err := s.load(); err != nil {
		return err
	}
	if _, err := s.topicStates(c.Context()); err != nil {
		fmt.Fprintf(c.ErrOrStderr(), "note: waiting for Kafka: %v\n", err)
	}
	if err := stage.EnsureTopics(c.Context(), s.cfg.Kafka); err != nil {
		return err
	}
	fmt.Fprintf(c.ErrOrStderr(), "all %d topics are there\n", len(stage.Catalogue()))
	return nil
}

// topicState is a topic of the catalogue and what the brokers have of it.
type topicState struct {
	stage.Topic
	name       string
	has, wants int
}

func (s *settings) topicStates(ctx context.Context) ([]topicState, error) {
	peek := stage.NewPeek(s.cfg.Kafka)
	defer peek.Close()
	var all []topicState
	for _, t := range stage.Catalogue() {
		n, err := peek.Partitions(ctx, t.Name)
		if err != nil {
			return nil, fmt.Errorf("%w; is Kafka there, and kafka.brokers right?", err)
		}
		all = append(all, topicState{t, s.cfg.Kafka.Topic(t.Name), n, s.cfg.Kafka.Partitions.Of(t.Class)})
	}
	return all, nil
}

func (t *topicState) verdict() string {
	switch t.has {
	case 0:
		return "missing"
	case t.wants:
		return "ok"
	}
	return fmt.Sprintf("should have %d partitions", t.wants)
}

func (s *settings) listTopics(c *cobra.Command) error {
	if err := s.load(); err != nil {
		return err
	}
	states, err := s.topicStates(c.Context())
	if err != nil {
		return err
	}
	peek := stage.NewPeek(s.cfg.Kafka)
	defer peek.Close()
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TOPIC\tPARTITIONS\tMESSAGES\tSTATE")
	for _, t := range states {
		messages, err := held(c.Context(), peek, t.Topic.Name, t.has)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", t.name, t.has, count(messages), t.verdict())
	}
	return w.Flush()
}

// held is how many messages a topic holds, empty ones too.
func held(ctx context.Context, peek *stage.Peek, topic string, partitions int) (n uint64, err error) {
	for p := range partitions {
		first, end, err := peek.Offsets(ctx, topic, p)
		if err != nil {
			return 0, err
		}
		n += uint64(max(0, end-first))
	}
	return n, nil
}

func (s *settings) checkTopics(c *cobra.Command) error {
	if err := s.load(); err != nil {
		return err
	}
	states, err := s.topicStates(c.Context())
	if err != nil {
		return err
	}
	return complain(c.ErrOrStderr(), states)
}

// complain fails unless all topics are as they should be.
func complain(w io.Writer, states []topicState) error {
	var errs []error
	var missing []string
	for _, t := range states {
		switch {
		case t.has == 0:
			missing = append(missing, t.name)
		case t.has != t.wants:
			errs = append(errs, &stage.PartitionError{Topic: t.name, Class: t.Class, Has: t.has, Wants: t.wants})
		}
	}
	if len(missing) > 0 {
		errs = append(errs, fmt.Errorf("topics are missing: %s; `flowctl topics create` makes them", strings.Join(missing, ", ")))
	}
	if len(errs) == 0 {
		fmt.Fprintf(w, "all %d topics are there with the configured partitions\n", len(states))
	}
	return errors.Join(errs...)
}
