package stage

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
)

var (
	schedules = flag.Int("schedules", 2000, "random schedules of crashes to try")
	firstSeed = flag.Uint64("seed", 1, "seed of the first schedule")
)

// script is what the sources of one timeline say: records per source and tick.
type script struct {
	sources int
	ticks   eventtime.Tick
	records [][][]toyRecord // [source][tick]
	// dies is the tick after which source 0 is silent, returns the tick at which it
	// goes on with what it had to say meanwhile; 0 is never.
	dies, returns eventtime.Tick
}

func newScript(rng *rand.Rand, orderly bool) *script {
	s := &script{sources: 1 + rng.IntN(3), ticks: eventtime.Tick(15 + rng.IntN(30))}
	if !orderly {
		s.sources = 2 + rng.IntN(2)
		s.dies = eventtime.Tick(5 + rng.IntN(20))
		s.ticks = s.dies + silence + eventtime.Tick(10+rng.IntN(20))
		if rng.IntN(2) == 0 {
			s.returns = s.dies + eventtime.Tick(rng.IntN(int(s.ticks-s.dies)))
		}
	}
	keys, id := uint64(1+rng.IntN(12)), uint64(0)
	for range s.sources {
		ticks := make([][]toyRecord, s.ticks+1)
		for t := 1; t <= int(s.ticks); t++ {
			for range rng.IntN(4) * rng.IntN(2) * rng.IntN(2) {
				id++
				key := rng.Uint64N(keys)
				ticks[t] = append(ticks[t], toyRecord{id: id, key: key, group: key % 5, n: 1 + rng.Uint64N(9)})
			}
		}
		s.records = append(s.records, ticks)
	}
	return s
}

// writes lays the script down in the logs of flows.raw: each source in its own
// order, sources interleaved at random, batches cut at random, some written twice.
func (s *script) writes(rng *rand.Rand, partitions int) [][]stored {
	logs := make([][]stored, partitions)
	for p := range logs {
		seqs := make([]int64, s.sources)
		var queues [][]stored
		for i := range s.sources { // everyone is known from the start
			logs[p] = append(logs[p], s.message(i, outgoing{header: header{tick: 0, end: true}}))
			queues = append(queues, nil)
		}
		for t := eventtime.Tick(1); t <= s.ticks; t++ {
			for i := range s.sources {
				queues[i] = append(queues[i], s.tick(rng, i, t, p, partitions, &seqs[i])...)
			}
			if s.dies > 0 { // who is dead must be the same, however it is read
				logs[p] = append(logs[p], s.interleave(rng, s.silent(queues, t))...)
			}
		}
		if s.dies == 0 {
			logs[p] = append(logs[p], s.interleave(rng, queues)...)
		}
		if s.dies > 0 && s.returns == 0 {
			queues[0] = nil
			continue
		}
	}
	return logs
}

// silent holds back what source 0 cannot say at a tick.
func (s *script) silent(queues [][]stored, t eventtime.Tick) [][]stored {
	if t <= s.dies || s.returns > 0 && t >= s.returns {
		return queues
	}
	held := slices.Clone(queues)
	held[0] = nil
	for i := 1; i < len(queues); i++ {
		queues[i] = nil
	}
	return held
}

// interleave empties the queues at random, each from its front.
func (s *script) interleave(rng *rand.Rand, queues [][]stored) (log []stored) {
	work := slices.Clone(queues)
	for i := range queues {
		if work[i] != nil {
			queues[i] = nil
		}
	}
	for {
		var some []int
		for i, q := range work {
			if len(q) > 0 {
				some = append(some, i)
			}
		}
		if len(some) == 0 {
			return log
		}
		i := some[rng.IntN(len(some))]
		log = append(log, work[i][0])
		if rng.IntN(20) == 0 && len(log) > 0 { // an answer was lost: written again, now or later
			log = append(log, log[rng.IntN(len(log))])
		}
		work[i] = work[i][1:]
	}
}

// tick is what one source writes to one partition for one tick.
func (s *script) tick(rng *rand.Rand, source int, t eventtime.Tick, p, partitions int, seq *int64) (out []stored) {
	m := outgoing{header: header{seq: *seq, tick: t}}
	flush := func(last bool) {
		m.end = last
		if last && t == s.ticks {
			m.bye = ByeEndOfInput
			if source > 0 && source == s.sources-1 && (s.dies == 0 || source > 1) {
				m.bye = ByeStop
			}
		}
		out = append(out, s.message(source, m))
		*seq += int64(m.count)
		m = outgoing{header: header{seq: *seq, tick: t}}
	}
	for _, r := range s.records[source][t] {
		if int(r.key)%partitions != p {
			continue
		}
		m.value = flow.AppendDelimited(m.value, &r)
		m.count++
		if rng.IntN(12) == 0 { // a record that is none
			m.value = append(m.value, 2, notToy, byte(source))
			m.count++
		}
		if rng.IntN(3) == 0 {
			flush(false)
		}
	}
	flush(true)
	return out
}

func (s *script) message(source int, m outgoing) stored {
	return stored{fields: m.appendFields(nil, fmt.Appendf(nil, "ingest/%c", 'a'+source)), value: m.value}
}

// mangle puts messages between those of the logs that are none of ours.
func mangle(rng *rand.Rand, logs [][]stored) [][]stored {
	mangled := make([][]stored, len(logs))
	for p, log := range logs {
		for _, m := range log {
			if rng.IntN(15) == 0 {
				bad := stored{fields: []field{{headerSource, []byte("ingest/a")}, {headerTick, []byte("7")}}, value: []byte("no number")}
				if rng.IntN(2) == 0 {
					bad = stored{fields: m.fields, key: []byte("key"), value: []byte{9, 'c', 'u', 't'}}
				}
				mangled[p] = append(mangled[p], bad)
			}
			mangled[p] = append(mangled[p], m)
		}
	}
	return mangled
}

// policies are what people declare while the script goes on: some from the start,
// some ahead, some that are displaced before they hold, some that make no sense, some
// written twice or for the same version. All are in the log before the ticks that
// they hold from, so it does not matter when they are read.
func (s *script) policies(rng *rand.Rand) [][]stored {
	log := []stored{}
	for version := range int64(rng.IntN(5)) {
		tick := eventtime.Tick(rng.IntN(int(s.ticks) + 10))
		for range 1 + rng.IntN(2) {
			m := outgoing{header: header{seq: version, tick: tick}, value: []byte{1, byte(10 + rng.IntN(5))}}
			if rng.IntN(5) == 0 {
				m.value = append(m.value, 1, 1) // two policies are none
			}
			ms := int64(rng.IntN(10_000))
			log = append(log, stored{fields: m.appendFields(nil, []byte(policySource)), value: m.value, ms: ms})
		}
	}
	return [][]stored{log}
}

func toyConfig(conversations, hosts int) Config {
	cfg := Default()
	cfg.Partitions = Partitions{Conversations: conversations, Hosts: hosts, Exporters: 1}
	return cfg
}

// late counts records that took effect later than at their own tick.
func (m *model) late() (n int) {
	for _, o := range m.owners {
		n += int(o.engine.tally.late)
	}
	return n
}

var toyTopics = []string{FlowsDeduped, Biflows, Activity, Alerts}

// everything is what all records say, whoever wrote them where.
func everything(seen map[string][]string) (all []string) {
	for _, rs := range seen {
		all = append(all, rs...)
	}
	slices.Sort(all)
	return all
}

// happened counts what schedules have gone through.
type happened struct {
	schedules, records, dead, late, crashes, zombies, retries, stores, handovers int
}

func (h *happened) add(o happened) {
	h.schedules++
	h.records, h.dead, h.late = h.records+o.records, h.dead+o.dead, h.late+o.late
	h.crashes, h.zombies, h.retries = h.crashes+o.crashes, h.zombies+o.zombies, h.retries+o.retries
	h.stores, h.handovers = h.stores+o.stores, h.handovers+o.handovers
}

// TestSchedules is the contract of the shell: whatever happens, the output is that
// of an ideal run over the same logs. And where no source dies, neither arrival
// order nor batch cuts nor numbers of partitions change what is said.
func TestSchedules(t *testing.T) {
	n := *schedules
	if testing.Short() {
		n /= 5
	}
	const shards = 2
	for shard := range shards {
		t.Run(strconv.Itoa(shard), func(t *testing.T) {
			t.Parallel()
			var all happened
			for i := shard; i < n; i += shards {
				all.add(trySchedule(t, *firstSeed+uint64(i)))
				if t.Failed() {
					return
				}
			}
			t.Logf("%+v", all)
		})
	}
}

// trySchedule makes a script and a schedule of a seed and holds the outcome
// against the ideal.
func trySchedule(t *testing.T, seed uint64) happened {
	rng := rand.New(rand.NewPCG(seed, 0))
	orderly := rng.IntN(4) > 0
	s := newScript(rng, orderly)
	cfg := toyConfig(1+rng.IntN(4), 1+rng.IntN(4))
	raw, policies := mangle(rng, s.writes(rng, cfg.Partitions.Conversations)), s.policies(rng)

	ideal := newModel(t, rng, cfg, map[string][][]stored{FlowsRaw: raw, Policy: policies})
	ideal.settle()
	wild := newModel(t, rng, cfg, map[string][][]stored{FlowsRaw: raw, Policy: policies})
	wild.chaos = true
	for range 200 + rng.IntN(400) {
		wild.act(rng.IntN(len(wild.owners)))
	}
	wild.settle()
	var again *model
	if orderly {
		other := toyConfig(1+rng.IntN(4), 1+rng.IntN(4))
		again = newModel(t, rng, other, map[string][][]stored{FlowsRaw: s.writes(rng, other.Partitions.Conversations), Policy: policies})
		again.settle()
	}
	h := wild.count
	for _, topic := range append([]string{FlowsDead}, toyTopics...) {
		want, got := ideal.seen(topic), wild.seen(topic)
		if !reflect.DeepEqual(want, got) {
			t.Errorf("seed %d: %s differs (-ideal, +wild):\n%s", seed, topic,
				differ(topic, ideal, wild, func(m *model, topic string) any { return m.seen(topic) }))
		}
		if topic == FlowsDead {
			h.dead += len(everything(got))
			continue
		}
		if again != nil && !slices.Equal(everything(want), everything(again.seen(topic))) {
			t.Errorf("seed %d: %s differs (-%+v, +%+v):\n%s", seed, topic, cfg.Partitions, again.cfg.Partitions,
				differ(topic, ideal, again, func(m *model, topic string) any { return everything(m.seen(topic)) }))
		}
		h.records += len(everything(got))
	}
	if t.Failed() {
		t.Errorf("seed %d is the first to fail", seed)
	}
	h.late = wild.late()
	return h
}
