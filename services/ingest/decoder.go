package main

import (
	"fmt"
	"time"

	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/internal/dispatch"
	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// source is where records and ticks go: a stage.Source, numbered and in order.
type source interface {
	dispatch.Sink
	// EndTick says that everything received up to the end of tick has been
	// appended.
	EndTick(tick eventtime.Tick) error
}

// decoder takes datagrams from the queue, in order, and turns them into records
// under their ticks. A decoder owns the exporters whose datagrams its queue gets:
// several of them need a queue each, chosen by the exporter's address, and a tick
// that ends when the last of them has passed it.
//
// While Kafka does not keep up, the source makes the decoder wait; datagrams then
// stay in the queue, and are dropped and counted in front of it.
type decoder struct {
	queue      *queue
	normalizer *normalize.Normalizer
	source     source
	clock      *clock
	metrics    *metrics

	tick   eventtime.Tick // open: nothing of it has been ended
	batch  batch
	result normalize.Result
}

// newDecoder makes the decoder of a queue into which nothing has been put: the
// tick that is open is that of the first datagram, at the earliest.
func newDecoder(q *queue, cfg normalize.Config, to source, c *clock, m *metrics) *decoder {
	return &decoder{
		queue: q, normalizer: normalize.New(cfg), source: to, clock: c, metrics: m,
		tick: eventtime.TickOf(q.horizon()),
	}
}

// resultDatagrams is after how many datagrams the records are handed over, so
// that a burst does not pile them up.
const resultDatagrams = 256

// run decodes until readers is closed, which says that nothing more is put, and
// the queue is empty, or until the source fails.
func (d *decoder) run(readers <-chan struct{}) error {
	timer := time.NewTimer(d.clock.until(d.tick + 1))
	defer timer.Stop()
	for last := false; !last; {
		select {
		case <-readers:
			last = true
		case <-d.queue.wake:
		case <-timer.C:
		}
		if err := d.step(); err != nil {
			return err
		}
		timer.Reset(d.clock.until(d.tick + 1))
	}
	return d.advance(d.tick + 1)
}

// step handles everything the queue holds and ends the ticks that have passed.
func (d *decoder) step() error {
	horizon := d.queue.take(&d.batch)
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
	if err := d.hand(); err != nil {
		return err
	}
	return d.advance(eventtime.TickOf(horizon))
}

func (d *decoder) decode(item *datagram) {
	payload, from := d.batch.payload(item), item.from.Addr()
	d.metrics.exporterDatagrams.add(from, 1)
	d.metrics.exporterBytes.add(from, len(payload))
	d.normalizer.Datagram(normalize.Datagram{
		Exporter: from, Port: item.from.Port(), ReceivedNs: item.receivedNs, Payload: payload,
	}, &d.result)
}

// hand gives the records decoded so far to the source, under the open tick.
func (d *decoder) hand() error {
	d.metrics.count(&d.result)
	err := dispatch.Send(&d.result, d.source)
	d.result.Reset()
	if err != nil {
		return fmt.Errorf("cannot hand records over: %w", err)
	}
	return nil
}

// advance opens a tick; all before it are ended.
func (d *decoder) advance(tick eventtime.Tick) error {
	if tick <= d.tick {
		return nil
	}
	if err := d.hand(); err != nil {
		return err
	}
	if err := d.source.EndTick(tick - 1); err != nil {
		return fmt.Errorf("cannot end a tick: %w", err)
	}
	d.tick = tick
	d.metrics.tick.Set(float64(tick.Ns()) / 1e9)
	return nil
}
