package normalize

import (
	"cmp"
	"net/netip"
	"slices"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// DomainStats is what is known of one observation domain of an exporter, since
// it was heard first. Counts only rise, until the domain is forgotten.
type DomainStats struct {
	Exporter netip.Addr
	// Agent is who metered, where sFlow says it is another than who sent.
	Agent               netip.Addr
	Type                flowv1.FlowType
	ObservationDomainID uint32

	// Datagrams counts messages (an IPFIX datagram may hold several), Duplicates
	// those that came twice and were not read again.
	Datagrams, Records, Duplicates uint64
	// Lost is what is missing by the sequence numbers: datagrams where
	// CountsDatagrams is set, else records. A replica that gets only some of an
	// exporter's datagrams misses the others.
	Lost            uint64
	CountsDatagrams bool
	// LostRecords is Lost in records: of datagrams, times what one held on average.
	LostRecords uint64
	// Reordered counts messages that came late, and Restarts how often the
	// exporter's count began anew.
	Reordered, Restarts uint64
	// Templates is the number of templates kept.
	Templates int
	// SkewMs is what is added to the exporter's times, in milliseconds.
	SkewMs int64
}

// Waiting is what waits for templates: data sets, and the memory they take.
func (n *Normalizer) Waiting() (sets, bytes int) { return n.waiting.sets, n.waiting.bytes }

// Stats tells of all observation domains, in order of exporter and domain.
func (n *Normalizer) Stats() []DomainStats {
	all := make([]DomainStats, 0, n.domains)
	for _, e := range n.exporters {
		for _, d := range e.domains {
			all = append(all, d.stats())
		}
	}
	slices.SortFunc(all, func(a, b DomainStats) int {
		return cmp.Or(a.Exporter.Compare(b.Exporter), cmp.Compare(a.Type, b.Type),
			cmp.Compare(a.ObservationDomainID, b.ObservationDomainID), a.Agent.Compare(b.Agent))
	})
	return all
}

func (d *domain) stats() DomainStats {
	return DomainStats{
		Exporter: d.exp.addr, Agent: d.key.agent, Type: d.key.kind, ObservationDomainID: d.key.id,
		Datagrams: d.datagrams, Records: d.records, Duplicates: d.duplicated,
		Lost: d.sequences.lost, CountsDatagrams: d.sequences.byDatagrams, LostRecords: d.lostRecords,
		Reordered: d.sequences.reordered, Restarts: d.sequences.restarts,
		Templates: len(d.templates) + len(d.variants), SkewMs: d.exp.skew.ms,
	}
}

// repeated tells whether the datagram came before, and counts it then.
func (m *message) repeated(out *Result) bool {
	if m.session != 0 || !m.dom.duplicates.seen(m.hash, m.sequence) {
		return false
	}
	m.dom.duplicated++
	out.Duplicates++
	return true
}

// leave ends a message: its records are known, and with them how the sequence
// numbers go on.
func (m *message) leave(out *Result) {
	d := m.dom
	d.datagrams++
	d.records += uint64(m.records)
	if m.records > 0 || m.waited {
		// What holds no data may come twice in a row and be meant so.
		d.duplicates.add(m.hash)
	}
	before := d.sequences.lost
	d.sequences.observe(m.port, m.sequence, m.records, !m.uncounted && m.bad == "", m.receivedNs)
	if lost := d.sequences.lost - before; lost > 0 {
		if d.sequences.byDatagrams {
			lost = uint64(float64(lost) * float64(d.records) / float64(d.datagrams))
		}
		d.lostRecords += lost
		out.LostRecords += lost
	}
	m.records, m.uncounted = 0, false
}
