package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flowledger/flowledger/services/internal/stage"
)

const tailLong = `Print the records of a topic as JSON objects, one to a line, in the words that
"flowctl run" uses. Batches are taken apart; the empty messages by which sources
say how far they have come are passed over (--messages shows them).

By default it prints the newest 10 records. --from first begins with the oldest,
partition by partition.
--follow goes on with what comes, until interrupted. Nothing is changed: no
consumer group is joined and no position kept.`

const tailExample = `  flowctl tail alerts --follow
  flowctl tail biflows --count 100 | jq .server_port
  flowctl tail flows.raw --from first --count 5
  flowctl tail flows.deduped --messages --count 20`

// tailer is one invocation of `flowctl tail`.
type tailer struct {
	settings
	topic    string
	from     string
	count    int
	follow   bool
	messages bool

	peek    *stage.Peek
	decoder decoder
	out     *bufio.Writer
	// next is the offset to go on from, per partition.
	next []int64
	left int
}

func newTailCommand() *cobra.Command {
	t := &tailer{}
	c := &cobra.Command{
		Use:     "tail TOPIC",
		Short:   "Print the records of a topic as JSON lines",
		Long:    tailLong,
		Example: tailExample,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("name one topic: %s", strings.Join(topicNames(), ", "))}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			t.topic = args[0]
			if err := t.check(); err != nil {
				return usageError{err}
			}
			if err := t.load(); err != nil {
				return err
			}
			return t.run(c.Context(), c.OutOrStdout())
		},
		ValidArgs: topicNames(),
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&t.from, "from", "last", "begin with the first records that are kept, or with the last")
	f.IntVarP(&t.count, "count", "n", 10, "print this many records; 0 is all")
	f.BoolVarP(&t.follow, "follow", "f", false, "go on with what comes; with --from first, --count means nothing")
	f.BoolVar(&t.messages, "messages", false, "print the messages themselves (offsets, sources, ticks), not the records")
	t.addFlags(c, kafkaFlags...)
	_ = c.RegisterFlagCompletionFunc("from", cobra.FixedCompletions([]string{"first", "last"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (t *tailer) check() error {
	if _, ok := stage.TopicNamed(t.topic); !ok {
		return fmt.Errorf("there is no topic %q (without the prefix): choose one of %s", t.topic, strings.Join(topicNames(), ", "))
	}
	if t.from != "first" && t.from != "last" {
		return fmt.Errorf("--from %s: choose first or last", t.from)
	}
	if t.count < 0 {
		return fmt.Errorf("--count %d: must be 0 (all) or more", t.count)
	}
	return nil
}

func topicNames() []string {
	var names []string
	for _, t := range stage.Catalogue() {
		names = append(names, t.Name)
	}
	return names
}

func (t *tailer) run(ctx context.Context, stdout io.Writer) error {
	t.peek = stage.NewPeek(t.cfg.Kafka)
	defer t.peek.Close()
	t.decoder = decoder{topic: t.topic, messages: t.messages}
	t.out = bufio.NewWriter(stdout)
	n, err := t.peek.Partitions(ctx, t.topic)
	if err != nil {
		return fmt.Errorf("%w; is Kafka there, and --kafka.brokers right?", err)
	}
	if n == 0 {
		return fmt.Errorf("the brokers have no topic %s; `flowctl topics create` makes it, --kafka.topic_prefix chooses another timeline", t.cfg.Kafka.Topic(t.topic))
	}
	t.next = make([]int64, n)
	if err := t.past(ctx); err != nil || !t.follow {
		return errors.Join(err, t.flush())
	}
	return t.coming(ctx)
}

// past prints what is there already.
func (t *tailer) past(ctx context.Context) error {
	if t.from == "last" && t.count > 0 {
		return t.newest(ctx)
	}
	if t.left = t.count; t.follow {
		t.left = 0 // no bound: it counts down from here
	}
	for p := range t.next {
		first, end, err := t.peek.Offsets(ctx, t.topic, p)
		if err != nil {
			return err
		}
		t.next[p] = first
		if err := t.between(ctx, p, end, t.print); err != nil {
			if errors.Is(err, errEnough) {
				return nil
			}
			return err
		}
	}
	return nil
}

// errEnough ends the reading.
var errEnough = errors.New("enough")

// print writes a message's records until there are enough.
func (t *tailer) print(m *stage.Message) error {
	for _, line := range t.decoder.lines(m) {
		if _, err := t.out.Write(line.text); err != nil {
			return err
		}
		if t.left--; t.left == 0 {
			return errEnough
		}
	}
	return nil
}

// between reads a partition up to an offset.
func (t *tailer) between(ctx context.Context, partition int, end int64, f func(*stage.Message) error) error {
	for t.next[partition] < end {
		next, err := t.peek.Read(ctx, t.topic, partition, t.next[partition], time.Second, func(m *stage.Message) error {
			if m.Offset >= end {
				return nil
			}
			return f(m)
		})
		if err != nil {
			return err
		}
		t.next[partition] = min(next, end)
	}
	return nil
}

// newest prints the last records of all partitions together, oldest first.
func (t *tailer) newest(ctx context.Context) error {
	var all []line
	for p := range t.next {
		lines, err := t.newestOf(ctx, p)
		if err != nil {
			return err
		}
		all = append(all, lines...)
	}
	slices.SortStableFunc(all, func(a, b line) int { return a.time.Compare(b.time) })
	for _, l := range all[max(0, len(all)-t.count):] {
		if _, err := t.out.Write(l.text); err != nil {
			return err
		}
	}
	return nil
}

// newestOf collects the last records of a partition. Most messages of a quiet
// partition are empty, so it looks back further and further.
func (t *tailer) newestOf(ctx context.Context, p int) ([]line, error) {
	first, end, err := t.peek.Offsets(ctx, t.topic, p)
	if err != nil {
		return nil, err
	}
	var lines []line
	upTo := end
	for window := int64(256); upTo > first && len(lines) < t.count; window *= 4 {
		from := max(first, upTo-window)
		var part []line
		t.next[p] = from
		err := t.between(ctx, p, upTo, func(m *stage.Message) error {
			part = append(part, t.decoder.lines(m)...)
			if len(part) > 2*t.count {
				part = slices.Delete(part, 0, len(part)-t.count)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		lines = append(part, lines...)
		upTo = from
	}
	t.next[p] = end
	return lines[max(0, len(lines)-t.count):], nil
}

// coming prints what arrives, partition by partition, until interrupted.
func (t *tailer) coming(ctx context.Context) error {
	t.left = 0
	wait := max(20*time.Millisecond, 500*time.Millisecond/time.Duration(len(t.next)))
	for {
		for p := range t.next {
			next, err := t.peek.Read(ctx, t.topic, p, t.next[p], wait, t.print)
			if ctx.Err() != nil {
				return errors.Join(ctx.Err(), t.flush())
			}
			if err != nil {
				return err
			}
			t.next[p] = next
			if err := t.flush(); err != nil {
				return err
			}
		}
	}
}

func (t *tailer) flush() error {
	if err := t.out.Flush(); err != nil {
		return fmt.Errorf("cannot write to standard output: %w", err)
	}
	return nil
}
