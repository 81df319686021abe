package e2e

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/stage"
	"github.com/flowledger/flowledger/services/internal/testkit"
)

// startStage starts dedup, stitch or detect under a topic prefix, and waits until it is ready.
func startStage(t *testing.T, name string, cfg stage.Config) *process {
	t.Helper()
	p := launch(t, name, "--kafka.brokers", cfg.Brokers[0], "--kafka.topic_prefix", cfg.TopicPrefix,
		"--kafka.partitions.conversations", "2", "--kafka.partitions.hosts", "2",
		"--kafka.session_timeout", "5m") // nobody is to be given up for being slow: what is read again is counted again
	await(t, name+" to be ready", func() bool { return p.get("/readyz") != "" })
	return p
}

// under is the configuration under a topic prefix, its topics made.
func under(t *testing.T, cfg stage.Config, prefix string) stage.Config {
	t.Helper()
	cfg.TopicPrefix = prefix
	if err := stage.EnsureTopics(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// messages are all of a topic, by partition.
func messages(t *testing.T, cfg stage.Config, topic string) (all [][]stage.Message) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	peek := stage.NewPeek(cfg)
	defer peek.Close()
	for p := range cfg.PartitionsOf(topic) {
		var list []stage.Message
		from, end, err := peek.Offsets(ctx, topic, p)
		for err == nil && from < end {
			from, err = peek.Read(ctx, topic, p, from, time.Second, func(m *stage.Message) error {
				list = append(list, *m)
				return nil
			})
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, list)
	}
	return all
}

// said is what readers take from a topic: of every partition and source the records with
// their ticks, repetitions dropped.
func said(t *testing.T, cfg stage.Config, topic string) map[string][]string {
	t.Helper()
	records, next := map[string][]string{}, map[string]int64{}
	for p, list := range messages(t, cfg, topic) {
		for _, m := range list {
			id := fmt.Sprintf("%d from %s", p, m.Source)
			values := []string{string(m.Key) + string(m.Value)}
			if topic != stage.Alerts && topic != stage.FlowsDead {
				values = values[:0]
				for rest := m.Value; len(rest) > 0; {
					var one []byte
					one, rest, _ = flow.Next(rest)
					values = append(values, string(one))
				}
			}
			for i, v := range values[:min(m.Count, len(values))] {
				if seq := m.Seq + int64(i); seq == next[id] {
					next[id]++
					records[id] = append(records[id], fmt.Sprintf("%d %x", m.Tick, v))
				} else if seq > next[id] {
					t.Fatalf("%s: record %d where %d was expected", id, seq, next[id])
				}
			}
		}
	}
	return records
}

// over tells whether sources of a topic have all said the last word.
func over(t *testing.T, cfg stage.Config, topic string, sources int) bool {
	t.Helper()
	for _, list := range messages(t, cfg, topic) {
		ended := map[string]bool{}
		for _, m := range list {
			if m.Bye != "" {
				ended[m.Source] = true
			}
		}
		if len(ended) < sources {
			return false
		}
	}
	return true
}

// scribe writes to Kafka as no source of ours does.
type scribe struct {
	*testing.T
	client *kgo.Client
	topic  string
}

func newScribe(t *testing.T, cfg stage.Config, topic string) *scribe {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DisableIdempotentWrite(),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerLinger(0), kgo.MaxVersions(kversion.V3_0_0()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &scribe{t, client, cfg.Topic(topic)}
}

// write writes a message and tells its offset.
func (s *scribe) write(partition int, value []byte, headers map[string]string) int64 {
	s.Helper()
	r := &kgo.Record{Topic: s.topic, Partition: int32(partition), Value: value}
	for k, v := range headers {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: k, Value: []byte(v)})
	}
	if err := s.client.ProduceSync(s.Context(), r).FirstErr(); err != nil {
		s.Fatal(err)
	}
	return r.Offset
}

// writePacked writes a record batch of two records that says zstd and is not.
func (s *scribe) writePacked(partition int, records string) (offset int64, batch []byte) {
	s.Helper()
	b := kmsg.RecordBatch{Length: int32(49 + len(records)), Magic: 2, Attributes: 4, LastOffsetDelta: 1, ProducerID: -1, ProducerEpoch: -1,
		FirstSequence: -1, NumRecords: 2, Records: []byte(records)}
	b.CRC = int32(crc32.Checksum(b.AppendTo(nil)[21:], crc32.MakeTable(crc32.Castagnoli)))
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = int32(partition), b.AppendTo(nil)
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic, topic.Partitions = s.topic, []kmsg.ProduceRequestTopicPartition{p}
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis, req.Topics = -1, 10_000, []kmsg.ProduceRequestTopic{topic}
	res, err := s.client.Request(s.Context(), req)
	if err != nil {
		s.Fatal(err)
	}
	answer := res.(*kmsg.ProduceResponse).Topics[0].Partitions[0]
	if answer.ErrorCode != 0 {
		s.Fatalf("the broker refuses it with code %d", answer.ErrorCode)
	}
	return answer.BaseOffset, p.Records
}

// grave is what a dead letter must say.
type grave struct {
	Stage, Topic, Partition, Offset, Reason string
	Bytes                                   string
}

// short cuts messages into such of at most three records: how many records a stage puts
// into one depends on how fast it is fed.
func short(list []stage.Message) (all []stage.Message) {
	const most = 3
	for _, m := range list {
		for m.Count > most && m.Bye == "" {
			first, rest := m, m.Value
			for range most {
				_, rest, _ = flow.Next(rest)
			}
			first.Count, first.Value, first.Headers = most, m.Value[:len(m.Value)-len(rest)], maps.Clone(m.Headers)
			delete(first.Headers, "tick_end") // the last of the pieces says it
			all = append(all, first)
			m.Seq, m.Count, m.Value = m.Seq+most, m.Count-most, rest
		}
		all = append(all, m)
	}
	return all
}

// copyMangled copies a topic, and puts between its messages, and between the records of
// one, what nobody can read. Numbers of records behind a mangled one move on.
func copyMangled(t *testing.T, name, topic string, from, to stage.Config) (dead []grave) {
	t.Helper()
	s := newScribe(t, to, topic)
	for p, list := range messages(t, from, topic) {
		bury := func(offset int64, reason string, value []byte) {
			dead = append(dead, grave{name, topic, strconv.Itoa(p), strconv.FormatInt(offset, 10), reason, string(value)})
		}
		shift, batches := map[string]int64{}, 0
		for _, m := range short(list) {
			m.Headers["seq"] = strconv.FormatInt(m.Seq+shift[m.Source], 10)
			value := m.Value
			if m.Count > 0 {
				batches++
			}
			switch {
			case m.Count == 0:
			case batches == 1: // a header of others
				m.Headers["color"] = "blue"
			case batches == 2:
				bad := []byte("nobody knows of what tick this is")
				bury(s.write(p, bad, map[string]string{"source": "ingest/test", "seq": "0"}), "bad_header", bad)
			case batches == 3:
				cut := value[:len(value)-1]
				bury(s.write(p, cut, m.Headers), "truncated", cut)
			case batches == 4:
				offset, batch := s.writePacked(p, "this is no zstd at all, and long enough")
				batch = slices.Clone(batch)
				for i := range 8 { // the broker has put the offset in
					batch[i] = byte(offset >> (56 - 8*i))
				}
				bury(offset, "damaged", batch)
			}
			if batches == 5 && m.Count > 0 {
				_, rest, _ := flow.Next(value)
				value = slices.Concat(value[:len(value)-len(rest)], []byte{2, 0x0b, 0x0b}, rest) // a group that does not end
				shift[m.Source]++
				bury(s.write(p, value, m.Headers), "undecodable", []byte{0x0b, 0x0b})
				continue
			}
			s.write(p, value, m.Headers)
		}
	}
	return dead
}

// TestUnreadableMessagesAreKept puts what nobody can read into the topics that stages
// read, between what they can: all of the latter goes its way as if the former were not
// there, which lies in flows.dead with a reason and a place, and the counters agree.
func TestUnreadableMessagesAreKept(t *testing.T) {
	broker := startEmbedded(t)
	base := stage.Default()
	base.Brokers, base.Partitions.Conversations, base.Partitions.Hosts = []string{broker.Addr()}, 2, 2
	clean := under(t, base, "clean.")
	publish := exec.Command(filepath.Join(bin, "flowctl"), "publish", testkit.Data(t, "traffic/portscan_vertical.pcap.gz"), testkit.Data(t, "traffic/campus_mixed.pcap.gz"),
		"--kafka.brokers", broker.Addr(), "--kafka.topic_prefix", clean.TopicPrefix, "--set", "kafka.partitions.conversations=2", "--set", "kafka.partitions.hosts=2")
	if out, err := publish.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	chain := []struct {
		name, in, out string
		ended         func(p *process, cfg stage.Config) bool
	}{
		{"dedup", stage.FlowsRaw, stage.FlowsDeduped, func(_ *process, cfg stage.Config) bool { return over(t, cfg, stage.FlowsDeduped, 1) }},
		{"stitch", stage.FlowsDeduped, stage.Biflows, func(_ *process, cfg stage.Config) bool { return over(t, cfg, stage.Biflows, 2) }},
		{"detect", stage.Biflows, stage.Alerts, func(p *process, cfg stage.Config) bool { // it says no last word, but reads one
			records := 0
			for _, rs := range said(t, cfg, stage.Biflows) {
				records += len(rs)
			}
			return int(p.metric("flowledger_stage_records_in_total")) == records && p.metric("flowledger_stage_lag_messages") == 0
		}},
	}
	run := func(i int, cfg stage.Config) *process {
		p := startStage(t, chain[i].name, cfg)
		await(t, chain[i].name+" to come to the end", func() bool { return chain[i].ended(p, cfg) })
		return p
	}
	for i := range chain {
		run(i, clean).stop(t)
	}
	if dead := said(t, clean, stage.FlowsDead); len(dead) > 0 {
		t.Fatalf("there are dead letters of what can be read: %v", dead)
	}
	for i, s := range chain {
		cfg := under(t, base, s.name+".")
		want := copyMangled(t, s.name, s.in, clean, cfg)
		if len(want) != 8 {
			t.Fatalf("%s: %d mangled, want 4 of each partition", s.name, len(want))
		}
		p := run(i, cfg)
		dead := func() float64 { return p.metric("flowledger_stage_dead_total") }
		await(t, s.name+" to set aside what it cannot read", func() bool { return int(dead()) == len(want) })
		malformed, unreadable := p.metric("flowledger_stage_malformed_total"), p.metric("flowledger_"+s.name+"_unreadable_total")
		if lost := p.metric("flowledger_stage_lost_total"); lost != 0 || malformed+unreadable != dead() || unreadable != 2 {
			t.Errorf("%s counts %v dead letters, %v messages and %v records of them, %v lost", s.name, dead(), malformed, unreadable, lost)
		}
		p.stop(t)
		whole := said(t, clean, s.out)
		if len(whole) == 0 {
			t.Errorf("%s says nothing", s.name)
		}
		if diff := cmp.Diff(whole, said(t, cfg, s.out)); diff != "" {
			t.Errorf("%s says something else of the rest (-want, +got):\n%s", s.name, diff[:min(len(diff), 4000)])
		}
		if diff := cmp.Diff(want, graves(t, cfg)); diff != "" {
			t.Errorf("dead letters of %s (-want, +got):\n%s", s.name, diff)
		}
	}
}

// graves are the dead letters of stages, repetitions dropped, by place.
func graves(t *testing.T, cfg stage.Config) (all []grave) {
	t.Helper()
	said(t, cfg, stage.FlowsDead) // without a gap
	next := map[string]int64{}
	for _, list := range messages(t, cfg, stage.FlowsDead) {
		for _, m := range list {
			if m.Count > 0 && m.Seq == next[m.Source] {
				next[m.Source]++
				h := m.Headers
				all = append(all, grave{h["stage"], h["topic"], h["partition"], h["offset"], h["reason"], string(bytes.Clone(m.Value))})
			}
		}
	}
	slices.SortFunc(all, func(a, b grave) int {
		if a.Partition != b.Partition {
			return strings.Compare(a.Partition, b.Partition)
		}
		m, _ := strconv.Atoi(a.Offset)
		n, _ := strconv.Atoi(b.Offset)
		return m - n
	})
	return all
}
