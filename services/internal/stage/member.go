package stage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"
)

// member takes part in a consumer group and runs one worker per unit that it is
// given. The group only deals partitions out; positions are kept elsewhere.
type member struct {
	cfg      *Config
	group    string
	topics   []string // full names
	balancer *balancer
	metrics  *metrics
	log      *slog.Logger
	// work runs one unit until the context ends, and then lets go of it cleanly.
	// An error ends the member.
	work func(ctx context.Context, a assignment) error
}

// assignment is a unit that a member was given.
type assignment struct {
	unit       string
	partitions []topicPartition
	generation *generation
	// share is how many units the member was given.
	share int
}

type topicPartition struct {
	topic     string // full name
	partition int
	// committed is the group's offset, negative if there is none.
	committed int64
}

// generation commits offsets for as long as the group's generation lasts.
type generation struct {
	id int32
	g  *kafka.Generation
}

// commit tells the group how far we are: for people and their tools, since
// recovery goes by snapshots. A refusal is harmless.
func (g *generation) commit(offsets map[string]map[int]int64) error {
	return g.g.CommitOffsets(offsets)
}

// joinBackoff is the pause between attempts to join: a broker that has just
// started may not have a coordinator yet.
const joinBackoff = 500 * time.Millisecond

// heartbeat is how often a member says that it is there: often enough that a few
// may be lost.
func (c *Config) heartbeat() time.Duration { return min(time.Second, c.SessionTimeout/5) }

// run takes part until the context ends, then lets the workers finish and leaves.
func (m *member) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: m.group, Brokers: m.cfg.Brokers, Topics: m.topics,
		Dialer:            m.cfg.groupDialer(),
		GroupBalancers:    []kafka.GroupBalancer{m.balancer},
		HeartbeatInterval: m.cfg.heartbeat(),
		SessionTimeout:    m.cfg.SessionTimeout,
		RebalanceTimeout:  m.cfg.RebalanceTimeout,
		JoinGroupBackoff:  joinBackoff,
		StartOffset:       kafka.FirstOffset,
	})
	if err != nil {
		return fmt.Errorf("cannot take part in group %s: %w", m.group, err)
	}
	// The group is closed before the workers know: it ends their generation, waits
	// for them, and leaves; the other way round it would join once more.
	stop := context.AfterFunc(ctx, func() { _ = group.Close() })
	defer func() {
		stop()
		_ = group.Close()
	}()
	defer m.cfg.Health.left(nil)
	for {
		g, err := group.Next(ctx)
		switch {
		case err == nil:
			m.begin(g, cancel)
		case ctx.Err() != nil, errors.Is(err, kafka.ErrGroupClosed):
			_ = group.Close() // the workers are done after this
			return m.reason(ctx)
		default:
			m.log.Info("not in the consumer group yet", "group", m.group, "error", err)
		}
	}
}

// reason is the error of the worker that ended the member, if one did.
func (m *member) reason(ctx context.Context) error {
	var failed *workerError
	if errors.As(context.Cause(ctx), &failed) {
		m.cfg.Health.left(failed.error)
		return failed.error
	}
	return nil
}

type workerError struct{ error }

// begin starts the workers of a generation.
func (m *member) begin(g *kafka.Generation, fail context.CancelCauseFunc) {
	units := m.units(g)
	names := make([]string, len(units))
	for i, a := range units {
		names[i] = a.unit
	}
	m.balancer.own(names)
	m.cfg.Health.assigned(names)
	m.metrics.rebalances.Inc()
	m.metrics.recovered.Set(0)
	m.log.Info("partitions were assigned", "group", m.group, "generation", g.ID, "units", names)
	for _, a := range units {
		a.share = len(units)
		g.Start(func(ctx context.Context) {
			if err := m.work(ctx, a); err != nil {
				fail(&workerError{err})
			}
			<-ctx.Done() // one that returned earlier would end the generation
		})
	}
}

// units groups what a generation was given.
func (m *member) units(g *kafka.Generation) (units []assignment) {
	for _, topic := range m.topics {
		for _, p := range g.Assignments[topic] {
			u := m.balancer.unit(topic, p.ID)
			i := slices.IndexFunc(units, func(a assignment) bool { return a.unit == u })
			if i < 0 {
				i = len(units)
				units = append(units, assignment{unit: u, generation: &generation{id: g.ID, g: g}})
			}
			units[i].partitions = append(units[i].partitions, topicPartition{topic, p.ID, p.Offset})
		}
	}
	slices.SortFunc(units, func(a, b assignment) int { return compareUnits(a.unit, b.unit) })
	return units
}

func (c *Config) groupDialer() *kafka.Dialer {
	d := &kafka.Dialer{ClientID: "flowledger", Timeout: dialTimeout}
	if c.dial != nil {
		d.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			return c.dial(ctx, network, address)
		}
	}
	return d
}
