package main

import (
	"fmt"
	"time"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/internal/dispatch"
	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// decoder takes datagrams from its queue, in order, and turns them into records
// under their ticks. It owns the exporters whose datagrams its queue gets.
//
// While Kafka does not keep up, the feed makes the decoder wait; datagrams then
// stay in the queue, and are dropped and counted in front of it.
type decoder struct {
	queue      *queue
	normalizer *normalize.Normalizer
	feed       dispatch.Sink
	ticks      *ticks
	self       int // among those who share the ticks
	clock      *clock
	metrics    *metrics
	// facts are what other ingesters, and former processes, tell of its exporters.
	facts chan *flowv1.ExporterFact
	kept  *kept

	tick   eventtime.Tick // open: this decoder speaks in it; 0 before the first
	batch  batch
	result normalize.Result
}

// newDecoder makes the decoder of a queue, one of those who share the ticks.
func newDecoder(q *queue, cfg normalize.Config, to dispatch.Sink, t *ticks, self int, c *clock, m *metrics) *decoder {
	return &decoder{queue: q, normalizer: normalize.New(cfg), feed: to, ticks: t, self: self, clock: c, metrics: m,
		result: normalize.Result{Encode: true},
		facts:  make(chan *flowv1.ExporterFact, factsAhead)}
}

// resultDatagrams is after how many datagrams the records are handed over: so few
// that they are still in the processor's cache when they are encoded.
const resultDatagrams = 8

// run decodes until readers is closed, which says that nothing more is put, and
// the queue is empty, or until the source fails. It begins when what was told
// before has been learnt: caught is closed. Before it ends it gives other ingesters
// a moment to tell of templates that data here waits for.
func (d *decoder) run(readers, caught <-chan struct{}) error {
	d.catchUp(readers, caught)
	timer := time.NewTimer(d.clock.until(d.tick + 1))
	defer timer.Stop()
	var deadline time.Time
	for last := false; !last; {
		select {
		case <-readers:
			readers, deadline = nil, time.Now().Add(lingerPatience)
		case <-d.queue.wake:
		case f := <-d.facts:
			d.normalizer.Learn(f)
		case <-timer.C:
		}
		if err := d.step(); err != nil {
			return err
		}
		waiting, _ := d.normalizer.Waiting()
		last = readers == nil && (waiting == 0 || time.Now().After(deadline))
		timer.Reset(d.clock.until(d.tick + 1))
	}
	d.normalizer.End(&d.result)
	if err := d.hand(); err != nil {
		return err
	}
	return d.ticks.leave(d.self, d.tick+1)
}

// lingerPatience is for how long data that waits for its template holds up a stop:
// an ingester tells of a template in the tick in which it came.
const lingerPatience = 3 * time.Second

// catchUpPatience is for how long the past is more important than datagrams. What
// comes without its template waits for that then.
const catchUpPatience = 10 * time.Second

func (d *decoder) catchUp(readers, caught <-chan struct{}) {
	late := time.NewTimer(catchUpPatience)
	defer late.Stop()
	for {
		select {
		case f := <-d.facts:
			d.normalizer.Learn(f)
		case <-caught:
			return
		case <-readers:
			return
		case <-late.C:
			return
		}
	}
}

// learn takes in the facts that are there.
func (d *decoder) learn() {
	for {
		select {
		case f := <-d.facts:
			d.normalizer.Learn(f)
		default:
			return
		}
	}
}

// step handles everything the queue holds and ends the ticks that have passed.
func (d *decoder) step() error {
	for more := true; more; {
		var horizon uint64
		d.learn()
		horizon, more = d.queue.take(&d.batch)
		if err := d.decodeBatch(); err != nil {
			return err
		}
		if err := d.advance(eventtime.TickOf(horizon)); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) decodeBatch() error {
	for i := range d.batch.items {
		item := &d.batch.items[i]
		if err := d.advance(eventtime.TickOf(item.receivedNs)); err != nil {
			return err
		}
		d.decode(item)
		if i%resultDatagrams == resultDatagrams-1 {
			if err := d.hand(); err != nil {
				return err
			}
		}
	}
	return d.hand()
}

func (d *decoder) decode(item *datagram) {
	payload, from := d.batch.payload(item), item.from.Addr()
	if item.session == 0 || len(payload) > 0 { // or it is a session's end
		d.metrics.exporterDatagrams.add(from, 1)
		d.metrics.exporterBytes.add(from, len(payload))
	}
	d.normalizer.Datagram(normalize.Datagram{
		Exporter: from, Port: item.from.Port(), ReceivedNs: item.receivedNs, Payload: payload, Session: item.session,
	}, &d.result)
}

// hand gives the records decoded so far to the source, under the open tick.
func (d *decoder) hand() error {
	d.kept.add(d.result.Facts)
	return hand(&d.result, d.metrics, d.feed)
}

// hand counts records and gives them to the source; the result is empty after it.
func hand(r *normalize.Result, m *metrics, to dispatch.Sink) error {
	m.count(r)
	err := dispatch.Send(r, to)
	r.Reset()
	if err != nil {
		return fmt.Errorf("cannot hand records over: %w", err)
	}
	return nil
}

// advance opens a tick; all before it are ended, as far as this decoder goes.
func (d *decoder) advance(tick eventtime.Tick) error {
	if tick <= d.tick {
		return nil
	}
	if err := d.hand(); err != nil {
		return err
	}
	if err := d.ticks.advance(d.self, tick); err != nil {
		return err
	}
	d.tick = tick
	d.normalizer.Advance(tick.Ns(), &d.result)
	return nil
}
