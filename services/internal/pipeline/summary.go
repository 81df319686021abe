package pipeline

import "github.com/flowledger/flowledger/services/ingest/normalize"

// Summary counts what went through. The four kinds of records add up to DataRecords.
type Summary struct {
	Datagrams      uint64            `json:"datagrams"`
	DataRecords    uint64            `json:"data_records"`
	OptionsRecords uint64            `json:"options_records"`
	Records        normalize.Records `json:"records"`
	// Flows is the number of raw flows: a bidirectional record makes two.
	Flows uint64 `json:"flows"`
	// Biflows is the number of conversations.
	Biflows uint64 `json:"biflows"`
	// Alerts is the number of findings, each once however often it was updated.
	Alerts uint64 `json:"alerts"`
	// Bytes and Packets are sums over the raw flows, before de-duplication.
	Bytes               uint64            `json:"bytes"`
	Packets             uint64            `json:"packets"`
	MissingTemplateSets uint64            `json:"missing_template_sets"`
	DeadReasons         map[string]uint64 `json:"dead_reasons"`
}

// Summary is what has gone through so far.
func (p *Pipeline) Summary() Summary { return p.sum }

// observeIngest counts and shows what ingest made of the tick.
func (p *Pipeline) observeIngest() {
	r, s, o := &p.result, &p.sum, &p.observer
	s.Datagrams += r.Datagrams
	s.DataRecords += r.DataRecords
	s.OptionsRecords += r.OptionsRecords
	s.MissingTemplateSets += r.MissingTemplateSets
	s.Records.Flow += r.Records.Flow
	s.Records.Event += r.Records.Event
	s.Records.FlowAndEvent += r.Records.FlowAndEvent
	s.Records.Dead += r.Records.Dead
	s.Flows += uint64(len(r.Flows))
	for _, f := range r.Flows {
		s.Bytes += f.Bytes
		s.Packets += f.Packets
		if o.Flow != nil {
			o.Flow(f)
		}
	}
	for _, e := range r.Events {
		if o.Event != nil {
			o.Event(e)
		}
	}
	for _, f := range r.Facts {
		if o.Fact != nil {
			o.Fact(f)
		}
	}
	for _, m := range r.Dns {
		if o.Dns != nil {
			o.Dns(m)
		}
	}
	for i := range r.Dead {
		s.DeadReasons[r.Dead[i].Reason]++
		if o.Dead != nil {
			o.Dead(&r.Dead[i])
		}
	}
}
