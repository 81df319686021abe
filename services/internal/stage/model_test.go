package stage

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// model is Kafka and a cluster of stages in memory, driven step by step: logs that
// only grow, and owners of partitions that may be there twice.
type model struct {
	t      *testing.T
	rng    *rand.Rand
	cfg    Config
	logs   map[string][][]stored // by topic, partition
	states map[string][][]byte   // snapshots by "stage/partition", oldest first
	specs  []Spec
	owners []*owner
	// chaos lets owners cut batches differently.
	chaos bool
	// readable makes records text, for people to compare.
	readable bool
	count    happened
}

// stored is one message of a log, as a broker keeps it.
type stored struct {
	fields     []field
	key, value []byte
	ms         int64 // when it was written
}

// owner runs one partition of a stage; a zombie has lost it and does not know.
type owner struct {
	*model
	spec   *Spec
	plan   plan
	engine *engine
	lanes  [][]modelLane
	// taken is a snapshot that is not stored yet, said what must be acknowledged first.
	taken []byte
	said  []int
	// life is how many steps a zombie has left; owners in charge have 0.
	life int
}

type modelLane struct {
	queue     []outgoing
	put, done int
}

func newModel(t *testing.T, rng *rand.Rand, cfg Config, raw map[string][][]stored) *model {
	m := &model{t: t, rng: rng, cfg: cfg, logs: map[string][][]stored{}, states: map[string][][]byte{}, specs: toyChain()}
	for _, name := range []string{FlowsRaw, FlowsDeduped, Biflows, Activity, Alerts, FlowsDead, Policy} {
		m.logs[name] = make([][]stored, cfg.PartitionsOf(name))
	}
	for name, log := range raw {
		m.logs[name] = log
	}
	for i := range m.specs {
		width, err := m.cfg.planner().width(&m.specs[i])
		if err != nil {
			t.Fatal(err)
		}
		for p := range width {
			m.owners = append(m.owners, m.newOwner(&m.specs[i], p))
		}
	}
	return m
}

func (o *owner) id() string { return stageSource(o.spec.Name, o.plan.partition) }

// newOwner recovers a partition from the newest snapshot.
func (m *model) newOwner(spec *Spec, partition int) *owner {
	o := &owner{model: m, spec: spec, plan: m.cfg.planner().plan(spec, partition)}
	o.engine = newEngine(o.plan, spec.NewCore(partition))
	if m.chaos && m.rng.IntN(2) == 0 {
		o.engine.out.maxBytes = 1 + m.rng.IntN(60)
	}
	for _, out := range o.plan.outputs {
		o.lanes = append(o.lanes, make([]modelLane, out.partitions))
	}
	if states := m.states[o.id()]; len(states) > 0 {
		newest := states[len(states)-1]
		if err := o.engine.restore(slices.Clone(newest)); err != nil {
			m.t.Fatalf("cannot restore %s: %v", o.id(), err)
		}
		if again := o.engine.appendSnapshot(nil); !bytes.Equal(again, newest) {
			m.t.Fatalf("%s: a restored engine gives another snapshot", o.id())
		}
	}
	return o
}

// read takes up to n messages of one inbox and releases what it may.
func (o *owner) read(inbox, n int) bool {
	in := o.engine.inboxes[inbox]
	log := o.logs[in.topic][in.partition]
	some := false
	for ; n > 0 && in.next < int64(len(log)); n-- {
		s := &log[in.next]
		m := message{offset: in.next, fields: s.fields, key: s.key, value: s.value}
		_ = m.parse(in.plain) // what is mangled is for the engine to set aside
		o.engine.accept(inbox, &m)
		some = true
	}
	if some {
		o.engine.step(o.say)
	}
	return some
}

// readPolicies takes up to n policies; at their end it may release what has been
// read before.
func (o *owner) readPolicies(n int) (some bool) {
	p := o.engine.policies
	if p == nil {
		return false
	}
	log, before := o.logs[Policy][0], *p
	for ; n > 0 && p.next < int64(len(log)); n-- {
		s := &log[p.next]
		m := message{offset: p.next, time: time.UnixMilli(s.ms), fields: s.fields, key: s.key, value: s.value}
		if err := m.parse(false); err != nil {
			o.t.Fatalf("%s: %v", o.id(), err)
		}
		o.engine.acceptPolicy(&m)
	}
	if p.next == int64(len(log)) {
		p.read(o.engine.passed(false))
		o.engine.step(o.say)
	}
	return p.next != before.next || p.known != before.known
}

func (o *owner) say(output, partition int, m outgoing) {
	l := &o.lanes[output][partition]
	l.queue = append(l.queue, m)
	l.put++
}

// send writes up to n messages of a lane. If the answer is lost they stay queued
// and will be written again.
func (o *owner) send(output, partition, n int, answered bool) bool {
	l := &o.lanes[output][partition]
	n = min(n, len(l.queue))
	log := &o.logs[o.plan.outputs[output].Topic][partition]
	source := []byte(sourceName(o.plan.source(), o.plan.epoch))
	for i := range n {
		m := &l.queue[i]
		*log = append(*log, stored{fields: append(m.appendFields(nil, source), m.fields...), key: m.key, value: m.value})
	}
	if answered {
		l.queue = l.queue[n:]
		l.done += n
	}
	return n > 0
}

func (o *owner) sendAll() (some bool) {
	for i := range o.lanes {
		for p := range o.lanes[i] {
			some = o.send(i, p, len(o.lanes[i][p].queue), true) || some
		}
	}
	return some
}

// take takes a snapshot, to be stored when what was said before is acknowledged.
func (o *owner) take() {
	o.taken, o.said = o.engine.appendSnapshot(nil), nil
	for i := range o.lanes {
		for p := range o.lanes[i] {
			o.said = append(o.said, o.lanes[i][p].put)
		}
	}
}

// store writes the snapshot if it may.
func (o *owner) store() {
	i := 0
	for _, lanes := range o.lanes {
		for _, l := range lanes {
			if o.taken == nil || l.done < o.said[i] {
				return
			}
			i++
		}
	}
	o.states[o.id()] = append(o.states[o.id()], o.taken)
	o.taken = nil
	o.count.stores++
}

// act lets a random thing happen to the i-th owner.
func (m *model) act(i int) {
	o := m.owners[i]
	if o.life > 0 {
		if o.life--; o.life == 0 {
			m.owners = slices.Delete(m.owners, i, i+1)
			return
		}
	}
	switch x := m.rng.IntN(100); {
	case x < 10:
		o.readPolicies(1 + m.rng.IntN(3))
	case x < 45:
		o.read(m.rng.IntN(len(o.engine.inboxes)), 1+m.rng.IntN(12))
	case x < 80:
		output := m.rng.IntN(len(o.lanes))
		answered := m.rng.IntN(8) > 0
		if !answered {
			m.count.retries++
		}
		o.send(output, m.rng.IntN(len(o.lanes[output])), 1+m.rng.IntN(6), answered)
	case x < 86:
		if o.taken == nil {
			o.take()
		}
	case x < 93:
		o.store()
	case o.life > 0: // a zombie only works on
	case x < 96: // crash
		m.owners[i] = m.newOwner(o.spec, o.plan.partition)
		m.count.crashes++
	case x < 98: // the partition goes to another, and the old owner does not know
		m.owners[i] = m.newOwner(o.spec, o.plan.partition)
		o.life = 1 + m.rng.IntN(60)
		m.owners = append(m.owners, o)
		m.count.zombies++
	default: // rebalance: a clean stop
		o.sendAll()
		o.take()
		o.store()
		m.owners[i] = m.newOwner(o.spec, o.plan.partition)
		m.count.handovers++
	}
}

// settle lets everyone work until nothing is left to do.
func (m *model) settle() {
	m.owners = slices.DeleteFunc(m.owners, func(o *owner) bool { return o.life > 0 })
	for busy := true; busy; {
		busy = false
		for _, o := range m.owners {
			for i := range o.engine.inboxes {
				busy = o.read(i, 1<<20) || busy
			}
			busy = o.readPolicies(1<<20) || busy
			busy = o.sendAll() || busy
		}
	}
	for _, o := range m.owners {
		if !o.engine.ended {
			m.t.Errorf("%s has not come to the end: inputs are passed up to %d and %d", o.id(), o.engine.passed(false), o.engine.passed(true))
		}
		if l := o.engine.tally.lost + o.engine.tally.ended + o.engine.tally.foreign; l > 0 {
			m.t.Errorf("%s: %+v", o.id(), o.engine.tally)
		}
	}
}

// seen is what a reader of a topic takes from it: per partition and source every
// record with its tick, in the order of the numbers.
func (m *model) seen(topic string) map[string][]string {
	entry, _ := TopicNamed(topic)
	records := map[string][]string{}
	for p, log := range m.logs[topic] {
		r := newReader()
		ended := map[string]eventtime.Tick{}
		for offset, s := range log {
			msg := message{offset: int64(offset), fields: s.fields, key: s.key, value: s.value}
			if err := msg.parse(entry.Plain); err != nil {
				m.t.Fatal(err)
			}
			out := r.take(&msg)
			id := topic + "/" + strconv.Itoa(p) + " from " + out.Source
			if out.Count > 0 && out.Tick <= ended[out.Source] {
				m.t.Errorf("%s: a record of tick %d comes after the end of tick %d", id, out.Tick, ended[out.Source])
			}
			if out.TickEnd {
				ended[out.Source] = max(ended[out.Source], out.Tick)
			}
			records[id] = append(records[id], recordsOf(out, entry.Plain, m.readable)...)
		}
		if r.tally.lost > 0 {
			m.t.Errorf("%s/%d: %d records are lost", topic, p, r.tally.lost)
		}
	}
	for id, rs := range records {
		if len(rs) == 0 {
			delete(records, id)
		}
	}
	return records
}

// recordsOf are the records of a message, each behind its tick.
func recordsOf(m *Message, plain, readable bool) (rs []string) {
	tick := strconv.FormatInt(int64(m.Tick), 10) + ": "
	if plain {
		if m.Count > 0 {
			rs = append(rs, tick+string(m.Value)+letterOf(m))
		}
		return rs
	}
	for rest := m.Value; len(rest) > 0; {
		var msg []byte
		msg, rest, _ = flow.Next(rest)
		if readable {
			rs = append(rs, fmt.Sprintf("%s%+v", tick, parseToy(msg)))
		} else {
			rs = append(rs, tick+string(msg))
		}
	}
	return rs
}

// letterOf is what a dead letter says of itself.
func letterOf(m *Message) (said string) {
	for _, name := range []string{HeaderReason, HeaderReceived, headerStage, headerTopic, headerPartition, headerOffset, headerError} {
		if v, ok := m.Headers[name]; ok {
			said += " " + name + "=" + v
		}
	}
	return said
}

// differ is the difference of two clusters' topic as people read it.
func differ(topic string, want, got *model, seen func(*model, string) any) string {
	want.readable, got.readable = true, true
	return cmp.Diff(seen(want, topic), seen(got, topic))
}
