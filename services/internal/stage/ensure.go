package stage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
)

// EnsureTopics creates the topics of the catalogue that are missing and verifies
// the numbers of partitions of all. Topics with other numbers are an error that
// says what to do: they are never changed.
func EnsureTopics(ctx context.Context, cfg Config) error {
	c := cfg.client()
	defer c.close()
	names := make([]string, 0, len(Catalogue()))
	for _, t := range Catalogue() {
		names = append(names, cfg.Topic(t.Name))
	}
	counts, err := c.awaitCounts(ctx, names)
	if err != nil {
		return err
	}
	if err := cfg.verify(counts); err != nil {
		return err
	}
	var missing []kafka.TopicConfig
	for _, t := range Catalogue() {
		if counts[cfg.Topic(t.Name)] == 0 {
			missing = append(missing, cfg.creation(t))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if err := c.createTopics(ctx, missing); err != nil {
		return err
	}
	return awaitTopics(ctx, c, &cfg, names)
}

// creation is what the broker is told of a new topic.
func (c *Config) creation(t Topic) kafka.TopicConfig {
	tc := kafka.TopicConfig{Topic: c.Topic(t.Name), NumPartitions: c.Partitions.Of(t.Class), ReplicationFactor: c.ReplicationFactor}
	entries := maps.Clone(t.Config)
	if c.ReplicationFactor > 2 {
		entries["min.insync.replicas"] = "2"
	}
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		tc.ConfigEntries = append(tc.ConfigEntries, kafka.ConfigEntry{ConfigName: name, ConfigValue: entries[name]})
	}
	return tc
}

func (c *client) createTopics(ctx context.Context, topics []kafka.TopicConfig) error {
	res, err := c.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: topics})
	if err != nil {
		return fmt.Errorf("cannot create topics at %s: %w", c.Addr, err)
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(res.Errors)) {
		if err := res.Errors[name]; err != nil && !errors.Is(err, kafka.TopicAlreadyExists) {
			errs = append(errs, fmt.Errorf("cannot create topic %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// verify holds the topics that are there against the configuration.
func (c *Config) verify(counts map[string]int) error {
	var errs []error
	for _, t := range Catalogue() {
		name := c.Topic(t.Name)
		want := c.Partitions.Of(t.Class)
		if n := counts[name]; n != 0 && n != want {
			errs = append(errs, &PartitionError{Topic: name, Class: t.Class, Has: n, Wants: want})
		}
	}
	return errors.Join(errs...)
}

// PartitionError is a topic whose number of partitions is not the configured one.
type PartitionError struct {
	Topic      string
	Class      Class
	Has, Wants int
}

func (e *PartitionError) Error() string {
	fix := fmt.Sprintf("set kafka.partitions.%s to %d, or begin a new timeline with another kafka.topic_prefix", e.Class, e.Has)
	if e.Class == Single {
		fix = "it must have one; begin a new timeline with another kafka.topic_prefix"
	}
	return fmt.Sprintf("topic %s has %d partitions where the configuration says %d: records would be looked for where they are not; %s", e.Topic, e.Has, e.Wants, fix)
}

// topicPatience is for how long topics that are missing are waited for: a one-shot
// job may be about to create them.
const topicPatience = 60 * time.Second

// awaitTopics waits for topics (full names) to be there, and refuses numbers of
// partitions other than the configured ones.
func awaitTopics(ctx context.Context, c *client, cfg *Config, names []string) error {
	deadline := time.Now().Add(topicPatience)
	for attempt := 0; ; attempt++ {
		err := c.findTopics(ctx, cfg, names)
		if err == nil || wrongPartitions(err) || time.Now().After(deadline) {
			return err
		}
		if e := backoff(ctx, attempt); e != nil {
			return errors.Join(err, e)
		}
	}
}

// standByReport is after how many attempts it is said again what is waited for.
const standByReport = 15

// standBy is awaitTopics without an end: a stage that is started before Kafka, or
// before the topics are made, begins when they are there. Meanwhile it is not
// ready, and says why.
func standBy(ctx context.Context, c *client, cfg *Config, names []string, log *slog.Logger) error {
	for attempt := 0; ; attempt++ {
		err := c.findTopics(ctx, cfg, names)
		if err == nil || wrongPartitions(err) {
			cfg.Health.left(err)
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		cfg.Health.left(fmt.Errorf("waiting for Kafka: %w", err))
		if attempt%standByReport == 0 {
			log.Warn("cannot start yet, still trying", "attempt", attempt+1, "error", err)
		}
		if err := backoff(ctx, attempt); err != nil {
			return err
		}
	}
}

func wrongPartitions(err error) bool {
	var wrong *PartitionError
	return errors.As(err, &wrong)
}

// findTopics asks once whether all topics are there as they should be.
func (c *client) findTopics(ctx context.Context, cfg *Config, names []string) error {
	counts, err := c.partitionCounts(ctx, names)
	if err != nil {
		return err
	}
	if err := cfg.verify(counts); err != nil {
		return err
	}
	missing := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return counts[n] > 0 })
	if len(missing) > 0 {
		return fmt.Errorf("topics are missing: %s; create them with `flowctl topics`", strings.Join(missing, ", "))
	}
	return nil
}

// awaitCounts asks for partitions until a broker answers.
func (c *client) awaitCounts(ctx context.Context, names []string) (map[string]int, error) {
	deadline := time.Now().Add(topicPatience)
	for attempt := 0; ; attempt++ {
		counts, err := c.partitionCounts(ctx, names)
		if err == nil || time.Now().After(deadline) {
			return counts, err
		}
		if e := backoff(ctx, attempt); e != nil {
			return nil, errors.Join(err, e)
		}
	}
}
