package simulate

// Scenario is a network and what happens in it.
type Scenario interface {
	// Exporters are the devices that report; Datagram.Exporter counts in them.
	Exporters() []ExporterConfig
	// Run plays the scenario from start to end, once.
	Run(out Output) (*Summary, error)
}

// Output is where a scenario goes. An error of either function ends the run.
type Output struct {
	// Datagram gets every datagram in order of arrival; the payload is valid
	// during the call.
	Datagram func(Datagram) error
	// Truth gets every conversation that was reported, in order of start. Valid
	// during the call. May be nil.
	Truth func(*Truth) error
}

// Summary says what a run made.
type Summary struct {
	Conversations uint64 // reported by at least one exporter
	Packets       uint64 // of those conversations, each counted once
	Bytes         uint64
	Datagrams     uint64
	PayloadBytes  uint64 // of all datagrams
	First, Last   int64  // arrival of the first and the last datagram
	Exporters     []ExporterSummary
}

// ExporterSummary says what one exporter sent.
type ExporterSummary struct {
	Name      string
	Protocol  Protocol
	Datagrams uint64
	Records   uint64 // data records, without options
}

// Records is the number of flow records of all exporters.
func (s *Summary) Records() (n uint64) {
	for i := range s.Exporters {
		n += s.Exporters[i].Records
	}
	return n
}

// count wraps an output so that what passes is counted.
func (s *Summary) count(out Output) Output {
	return Output{
		Datagram: func(d Datagram) error {
			if s.Datagrams == 0 {
				s.First = d.At
			}
			s.Last = d.At
			s.Datagrams++
			s.PayloadBytes += uint64(len(d.Payload))
			return out.Datagram(d)
		},
		Truth: func(t *Truth) error {
			s.Conversations++
			s.Packets += t.ClientPackets + t.ServerPackets
			s.Bytes += t.ClientBytes + t.ServerBytes
			if out.Truth == nil {
				return nil
			}
			return out.Truth(t)
		},
	}
}

// add takes over the counts of the exporters.
func (s *Summary) add(exporters []*Exporter) {
	for _, x := range exporters {
		s.Exporters = append(s.Exporters, ExporterSummary{x.cfg.Name, x.cfg.Protocol, x.sent, x.records})
	}
}
