package normalize

import (
	"runtime"
	"testing"
)

// Two datagrams that bring goflow2 v2.2.6 down, and whoever takes its decoders as they
// are (DOMAIN.md §1.1). Both are read within the time and memory of any other.

// TestCrashSampleThatClaimsFourBillionRecords: an expanded flow sample of sFlow, of which
// an 80-byte datagram asks for memory for 2³²-1 records.
func TestCrashSampleThatClaimsFourBillionRecords(t *testing.T) {
	sample := values(4, sampleExpandedFlow, 4, 1, 4, 0, 4, 3, 4, 1, 4, 1, 4, 0, 4, 0, 4, 3, 4, 0, 4, 4, 4, 0xffffffff)
	d := sflowDatagram(sample)
	if len(d.Payload) != 80 {
		t.Fatalf("%d bytes", len(d.Payload))
	}
	out := run(Default(), d, sflowDatagram(flowSampleOf(1, 3, 4, headerIPv4, 60, tcp4)))
	if len(out.Dead) != 1 || out.Dead[0].Reason != "bad_record_count" || out.Records != (Records{Flow: 1, Dead: 1}) {
		t.Errorf("%+v %v", out.Records, out.Dead)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	run(Default(), d)
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("%d bytes were allocated for a datagram of 80", got)
	}
}

// TestCrashDataOfTemplateWithoutLength: a template that is withdrawn, or whose records
// have no length, and data for it: records without end.
func TestCrashDataOfTemplateWithoutLength(t *testing.T) {
	for name, w := range map[string]*writer{
		"a withdrawal, then data":     ipfix().template(300, tuple...).template(300).set(300, tupleValues(1, 1)...),
		"a withdrawal of nothing":     ipfix().template(301).set(301, 1, 2, 3, 4).template(300, tuple...).set(300, tupleValues(1, 1)...),
		"fields of no length":         v9().template(301, spec{ieSrcIPv4, 0}, spec{ieDstIPv4, 0}).set(301, 1, 2, 3, 4).template(300, tuple...).set(300, tupleValues(1, 1)...),
		"options of no length":        ipfix().optionsTemplate(301, 1, spec{ieFlowID, 0}, spec{ieSamplingInterval, 0}).set(301, 1, 2, 3, 4).template(300, tuple...).set(300, tupleValues(1, 1)...),
		"all fields of no length, v9": v9().optionsTemplate(301, 1, spec{scopeSystem, 0}).set(301, 1, 2, 3, 4).template(300, tuple...).set(300, tupleValues(1, 1)...),
	} {
		out := run(Default(), w.datagram())
		if len(out.Flows) != 1 || out.DataRecords != 1 || out.OptionsRecords != 0 {
			t.Errorf("%s: %d flows, %d and %d records", name, len(out.Flows), out.DataRecords, out.OptionsRecords)
		}
	}
}
