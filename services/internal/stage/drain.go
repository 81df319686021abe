package stage

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// Position is where a drain goes on in one partition after what a destination
// has stored. It is stored together with the data, so that both are there or
// neither is.
type Position struct {
	// Next is the offset of the first message that is not stored yet.
	Next int64
	// Sources is what the reader knows of the sources by then, opaque: without it
	// the first messages after Next could not be told from repeated ones.
	Sources []byte
}

// Message is one message of the log on its way to a destination.
type Message struct {
	// Topic is the name of the catalogue, without the prefix.
	Topic     string
	Partition int
	Offset    int64
	// Time is when the producer sent the message.
	Time time.Time
	// Source is the writer without its epoch (ingest/<boot id>, dedup/3), Seq the
	// number of the first record that is left in Value.
	Source  string
	Seq     int64
	Tick    eventtime.Tick
	TickEnd bool
	// Bye is empty, ByeStop or ByeEndOfInput.
	Bye     string
	Headers map[string]string
	// Key and Value are the writer's until the next call of Write. Records that were
	// seen before are cut off the front of Value; what is left may be empty.
	Key, Value []byte
	// Count is the number of records in Value.
	Count int
}

// Writer stores the messages of one partition. Write is called in log order by
// one goroutine; the writer decides, at points that the log defines, when to cut
// and to store what after tells along with the data. after speaks of the position
// behind m and is valid during the call only. An error of Write, and of Open, makes
// the drain begin again at the stored position, a little later.
type Writer interface {
	Write(ctx context.Context, m *Message, after func() Position) error
	// Close lets go of what is not stored. It is called once, after the last Write.
	Close()
}

// Destination is where a drain leads: a database that remembers positions.
type Destination interface {
	// Open gives the writer of one partition and the position that was stored with
	// its data last; nil is the beginning of the log.
	Open(ctx context.Context, topic string, partition int) (Writer, *Position, error)
}

// Drain leads topics (catalogue names) to a destination until the context ends:
// every partition by the one member of the group it was dealt to, each record
// once. It returns nil after a clean stop.
//
//	partition ─▶ numbers: what was seen is cut off ─▶ Writer.Write ─▶ Position, stored with the data
func Drain(ctx context.Context, cfg Config, group string, topics []string, dst Destination, reg prometheus.Registerer, log *slog.Logger) error {
	d := &drain{cfg: cfg, dst: dst, client: cfg.client(), metrics: newMetrics(reg, group), log: log.With("drain", group), plain: map[string]bool{}}
	defer d.client.close()
	var names []string
	for _, t := range topics {
		entry, ok := TopicNamed(t)
		if !ok {
			return fmt.Errorf("cannot drain topic %q: it is not in the catalogue", t)
		}
		d.plain[t] = entry.Plain
		names = append(names, cfg.Topic(t))
	}
	slices.Sort(names)
	if err := standBy(ctx, d.client, &d.cfg, names, d.log); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("cannot start drain %s: %w", group, err)
	}
	m := &member{cfg: &d.cfg, group: cfg.GroupOf(group), topics: names, balancer: &balancer{},
		metrics: d.metrics, log: d.log, work: d.work}
	return m.run(ctx)
}
