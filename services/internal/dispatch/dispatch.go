// Package dispatch sends what came out of datagrams to the topics and partitions
// where it belongs: the way of ingest, and of everything that stands in for one.
//
//	normalize.Result ─┬─ flows  ─▶ flows.raw   by conversation
//	                  ├─ events ─▶ events      ╮
//	                  ├─ facts  ─▶ exporters   ├ by exporter
//	                  ├─ dns    ─▶ dns         │
//	                  ╰─ dead   ─▶ flows.dead  ╯ as it came; why, in headers
package dispatch

import (
	"bytes"
	"net/netip"
	"strconv"

	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/stage"
)

// Sink takes records; a stage.Source for Topics is one. Topics are spoken of by
// their index there.
type Sink interface {
	// Partitions is the number of partitions of a topic.
	Partitions(topic int) int
	// Append adds a record to the open batch of a partition.
	Append(topic, partition int, m flow.Message) error
	// AppendMessage adds a record that is a Kafka message of its own. Key and
	// value are the sink's from now on.
	AppendMessage(topic, partition int, key, value []byte, headers ...stage.Header) error
}

// Indexes into Topics.
const (
	flowsRaw = iota
	events
	exporters
	dns
	flowsDead
)

// Topics are the topics that an ingester writes, by their names in the catalogue.
func Topics() []string {
	return []string{flowsRaw: stage.FlowsRaw, events: stage.Events, exporters: stage.Exporters, dns: stage.DNS, flowsDead: stage.FlowsDead}
}

// Headers of a dead letter.
const (
	HeaderReason   = stage.HeaderReason
	HeaderExporter = "sampler_address"
	HeaderReceived = stage.HeaderReceived
)

// Send gives all records of r to the sink, which copies them: r may be reset. It
// ends at the first error; what came before it has been taken.
func Send(r *normalize.Result, to Sink) error {
	if feed, ok := to.(*stage.Feed); ok { // at the price of one lock
		return feed.Batch(func(open *stage.Open) error {
			open.AppendFlows(flowsRaw, r.Encoded)
			return sendRest(r, open)
		})
	}
	partitions := to.Partitions(flowsRaw)
	for i := range r.Encoded {
		f := &r.Encoded[i]
		if err := to.Append(flowsRaw, flow.Partition(f.Hash, partitions), f); err != nil {
			return err
		}
	}
	return sendRest(r, to)
}

// sendRest is Send of all that is not written yet.
func sendRest(r *normalize.Result, to Sink) error {
	partitions := to.Partitions(flowsRaw)
	for _, f := range r.Flows {
		if err := to.Append(flowsRaw, flow.Partition(flow.ConversationHash(f), partitions), (*flow.Fresh)(f)); err != nil {
			return err
		}
	}
	for _, e := range r.Events {
		if err := to.Append(events, byExporter(e.SamplerAddress, to, events), e); err != nil {
			return err
		}
	}
	for _, f := range r.Facts {
		if err := to.Append(exporters, byExporter(f.SamplerAddress, to, exporters), f); err != nil {
			return err
		}
	}
	for _, m := range r.Dns {
		if err := to.Append(dns, byExporter(m.SamplerAddress, to, dns), m); err != nil {
			return err
		}
	}
	for i := range r.Dead {
		if err := bury(&r.Dead[i], to); err != nil {
			return err
		}
	}
	return nil
}

func byExporter(addr []byte, to Sink, topic int) int {
	return flow.Partition(flow.ExporterHash(addr), to.Partitions(topic))
}

func bury(l *normalize.DeadLetter, to Sink) error {
	return to.AppendMessage(flowsDead, byExporter(wire(l.Exporter), to, flowsDead), nil, bytes.Clone(l.Bytes),
		stage.Header{Key: HeaderReason, Value: l.Reason},
		stage.Header{Key: HeaderExporter, Value: l.Exporter.String()},
		stage.Header{Key: HeaderReceived, Value: strconv.FormatUint(l.ReceivedNs, 10)})
}

// wire is an address as messages have it.
func wire(a netip.Addr) []byte {
	if !a.IsValid() {
		return nil
	}
	return a.Unmap().AsSlice()
}
