// Package pipeline composes the cores of all stages in one process, without
// Kafka: `flowctl run`, tests and benchmarks. It moves through the ticks as the
// stages do, so it reaches the same ledger.
//
//	datagram ─▶ normalize ─tick─▶ merge ─▶ biflow ─▶ rule ─▶ alerts
//	                 ╰▶ events, facts, dead letters
package pipeline

import (
	"fmt"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/dedup/merge"
	"github.com/flowledger/flowledger/services/detect/rule"
	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/stitch/biflow"
)

// Config holds the configuration of every core under the name it has in its
// service's file.
type Config struct {
	Ingest normalize.Config `yaml:"ingest"`
	Dedup  merge.Config     `yaml:"dedup"`
	Stitch biflow.Config    `yaml:"stitch"`
	Detect rule.Config      `yaml:"detect"`
}

// Default is the configuration that works without a file.
func Default() Config {
	return Config{
		Ingest: normalize.Default(),
		Dedup:  merge.Default(),
		Stitch: biflow.Default(),
		Detect: rule.Default(),
	}
}

// Validate checks every core's configuration.
func (c Config) Validate() error {
	for _, err := range []error{c.Ingest.Validate(), c.Dedup.Validate(), c.Stitch.Validate(), c.Detect.Validate()} {
		if err != nil {
			return err
		}
	}
	return nil
}

// Observer is told what passes between the stages. What it gets is valid only
// during the call; nil functions are skipped.
type Observer struct {
	// Flow gets what ingest made, Deduped what dedup made.
	Flow, Deduped func(*flowv1.Flow)
	// Update gets every version of every conversation; the last one of each
	// has a close reason.
	Update func(*flowv1.Biflow)
	Event  func(*flowv1.Event)
	Fact   func(*flowv1.ExporterFact)
	Dns    func(*flowv1.Dns)
	Dead   func(*normalize.DeadLetter)
	Alert  func(*rule.Alert)
}

// Pipeline is one partition of everything.
type Pipeline struct {
	observer  Observer
	normalize *normalize.Normalizer
	merge     *merge.Window
	biflow    *biflow.Table
	rules     *rule.Set
	// tick is the one being filled, begun that dedup has had some of it.
	tick           eventtime.Tick
	started, begun bool
	// result holds what was received last, up to latestNs.
	result   normalize.Result
	latestNs uint64
	orders   flow.Orders
	// findings holds the uids of alerts, to count each finding once.
	findings map[string]bool
	sum      Summary
}

// New composes the cores.
func New(cfg Config, observer Observer) (*Pipeline, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	rules, err := rule.New(cfg.Detect)
	if err != nil {
		return nil, fmt.Errorf("cannot set up the rules: %w", err)
	}
	return &Pipeline{
		observer:  observer,
		normalize: normalize.New(cfg.Ingest),
		merge:     merge.New(cfg.Dedup),
		biflow:    biflow.New(cfg.Stitch),
		rules:     rules,
		findings:  make(map[string]bool),
		sum:       Summary{DeadReasons: make(map[string]uint64)},
	}, nil
}

// Policy makes a policy hold from the start: it comes before what is received.
func (p *Pipeline) Policy(policy *flowv1.Policy) error { return p.biflow.Policy(policy) }

// Datagram takes one datagram in. Times must not fall.
func (p *Pipeline) Datagram(d normalize.Datagram) {
	p.reach(d.ReceivedNs)
	p.normalize.Datagram(d, &p.result)
}

// End closes everything that is open. The end of input travels down the topics:
// each stage ends one tick after the one before it.
func (p *Pipeline) End() {
	if !p.started {
		return
	}
	p.normalize.End(&p.result)
	p.finishTick()
	end := p.tick + 1
	p.idleUntil(end)

	p.merge.End(end, p.keepDeduped)
	p.stitch(end)
	p.detect(end)

	end++
	p.biflow.End(end, p.keepBiflow)
	p.detect(end)

	end++
	p.rules.End(end, p.alert)
}

// reach moves on to the time of what is received next; ticks before its own are run.
func (p *Pipeline) reach(receivedNs uint64) {
	tick := eventtime.TickOf(receivedNs)
	if !p.started {
		p.tick, p.started = tick, true
	}
	switch {
	case tick > p.tick:
		p.finishTick()
		p.idleUntil(tick)
		p.tick = tick
	case receivedNs > p.latestNs && p.received() >= enough && !p.normalize.Waits():
		p.pass()
	}
	p.latestNs = receivedNs
}

// enough is how many records are passed on together. A tick of a busy network has
// tens of thousands: kept until its end they would have to be fetched from memory
// again, while so many are still at hand.
const enough = 64

// received is how many records there are that have not been passed on.
func (p *Pipeline) received() int {
	r := &p.result
	return len(r.Flows) + len(r.Events) + len(r.Facts) + len(r.Dns) + len(r.Dead)
}

// pass takes what was received to dedup, in the order of flow.SortRaw. Before the
// tick is complete that may be done only with what was received before all that
// still comes: neither later datagrams of the same time nor what waits for its
// template belong in front of it.
func (p *Pipeline) pass() {
	p.observeIngest()
	if len(p.result.Flows) > 0 {
		if !p.begun {
			p.merge.Begin(p.tick, p.keepDeduped)
			p.begun = true
		}
		p.orders.Raw(p.result.Flows)
		p.merge.Add(p.result.Flows)
	}
	p.result.Reset()
}

// finishTick runs the stages over the tick that has been filled.
func (p *Pipeline) finishTick() {
	p.pass()
	p.run(p.tick)
}

// idleUntil runs the ticks before next at which a stage has a timer.
func (p *Pipeline) idleUntil(next eventtime.Tick) {
	for {
		due := min(p.merge.NextTimer(), p.biflow.NextTimer(), p.rules.NextTimer())
		if due >= next {
			return
		}
		p.run(max(due, p.tick+1))
		p.tick = max(due, p.tick+1)
	}
}

// run takes one tick through dedup, stitch and detect. A stage without input
// and without a due timer is not called.
func (p *Pipeline) run(tick eventtime.Tick) {
	if !p.begun && p.merge.NextTimer() <= tick {
		p.merge.Begin(tick, p.keepDeduped)
		p.begun = true
	}
	if p.begun {
		p.merge.Finish()
		p.begun = false
	}
	p.stitch(tick)
	p.detect(tick)
}

func (p *Pipeline) stitch(tick eventtime.Tick) {
	if p.biflow.HasSeen() || p.biflow.NextTimer() <= tick {
		p.biflow.TickSeen(tick, p.keepBiflow)
	}
}

func (p *Pipeline) detect(tick eventtime.Tick) {
	if p.rules.HasSeen() || p.rules.NextTimer() <= tick {
		p.rules.Tick(tick, p.alert)
	}
}

func (p *Pipeline) keepDeduped(f *flowv1.Flow) {
	p.biflow.See(f)
	if p.observer.Deduped != nil {
		p.observer.Deduped(f)
	}
}

func (p *Pipeline) keepBiflow(b *flowv1.Biflow) {
	p.rules.See(b)
	if b.CloseReason != flowv1.CloseReason_CLOSE_REASON_UNSPECIFIED {
		p.sum.Biflows++
	}
	if p.observer.Update != nil {
		p.observer.Update(b)
	}
}

func (p *Pipeline) alert(a *rule.Alert) {
	if !p.findings[a.UID] {
		p.findings[a.UID] = true
		p.sum.Alerts++
	}
	if p.observer.Alert != nil {
		p.observer.Alert(a)
	}
}
