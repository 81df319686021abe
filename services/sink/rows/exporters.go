package rows

import flowv1 "github.com/flowledger/flowledger/proto/flow/v1"

// Exporters builds table exporters from topic exporters: one row per fact.
type Exporters struct{ single[*flowv1.ExporterFact] }

// NewExporters makes an empty builder.
func NewExporters() *Exporters {
	return &Exporters{single[*flowv1.ExporterFact]{
		table:  table[*flowv1.ExporterFact]{name: "exporters", fields: exporterFields()},
		record: new(flowv1.ExporterFact),
	}}
}

func exporterFields() []field[*flowv1.ExporterFact] {
	type X = *flowv1.ExporterFact
	return []field[X]{
		key("sampler_address", func(x X) [16]byte { return addr(x.SamplerAddress) }),
		col("observation_domain_id", func(x X) uint32 { return x.ObservationDomainId }),
		col("kind", func(x X) int8 { return enum(x.Kind, flowv1.ExporterFactKind_name) }),
		col("type", func(x X) int8 { return enum(x.Type, flowv1.FlowType_name) }),
		col("template_id", func(x X) uint16 { return uint16(x.TemplateId) }),
		col("id", func(x X) uint64 { return x.Id }),
		col("name", func(x X) string { return text(x.Name) }),
		col("time_received", func(x X) Time { return timeOf(x.TimeReceivedNs) }),
		col("sampling_rate", func(x X) uint64 { return x.SamplingRate }),
		col("active_timeout_ms", func(x X) uint32 { return x.ActiveTimeoutMs }),
		col("inactive_timeout_ms", func(x X) uint32 { return x.InactiveTimeoutMs }),
		col("template", func(x X) string { return string(x.Template) }),
		list("attributes", func(dst []Pair, x X) []Pair { return appendPairs(dst, x.Attributes) }),
		col("record_id", func(x X) uint64 { return x.RecordId }),
	}
}
