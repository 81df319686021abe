package merge

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// by is a report of one of many flows by one of many exporters, received at a time in
// seconds.
func by(exporter, tuple uint32, at float64) *flowv1.Flow {
	f := report(0, at-1, at, 5)
	f.SamplerAddress = binary.BigEndian.AppendUint32(nil, 0x0a000000+exporter)
	f.SrcAddr = binary.BigEndian.AppendUint32(nil, 0x0b000000+tuple)
	f.RecordId = uint64(exporter)<<32 | uint64(tuple)
	return f
}

// TestExportersComeAndGo: those of which no flow is remembered are forgotten, and of the
// others nothing is, also over a restore.
func TestExportersComeAndGo(t *testing.T) {
	cfg := Default()
	cfg.LateHorizon = 5 * time.Minute
	var reports []*flowv1.Flow
	const each, minutes = 500, 30
	n := uint32(0)
	for minute := range minutes {
		for range each {
			n++
			reports = append(reports, by(n, n, float64(60*minute)))
		}
	}
	// The last minute's flows are told of once more, by two exporters of much earlier.
	for tuple := n - each + 1; tuple <= n; tuple++ {
		for _, exporter := range []uint32{7, 8} {
			late := by(exporter, tuple, 60*(minutes-1))
			late.TimeReceivedNs = second(60*minutes - 1)
			reports = append(reports, late)
		}
	}
	most := 0
	w := New(cfg)
	counted, lates := uint64(0), 0
	drive(w, reports, func(f *flowv1.Flow) {
		counted += f.Packets
		if f.Late {
			lates++
		}
		most = max(most, len(w.points.all))
	})
	if counted != uint64(n)*5 || lates != 2*each {
		t.Errorf("%d packets of %d flows, %d late reports", counted, n, lates)
	}
	if horizon := int(cfg.LateHorizon.Minutes()) + 1; most > each*horizon+2*tidyEvery {
		t.Errorf("up to %d of %d points are kept, of %d minutes", most, n, horizon)
	}
	got, want := playRestored(t, cfg, reports), play(cfg, reports)
	if len(got) != len(want) {
		t.Fatalf("%d flows, restored %d", len(want), len(got))
	}
	for i := range want {
		a, _ := got[i].MarshalVT()
		b, _ := want[i].MarshalVT()
		if !bytes.Equal(a, b) {
			t.Fatalf("flow %d is\n%v, want\n%v", i, got[i], want[i])
		}
	}
}

// TestTooManyStandings: an exporter that changes its timeouts without end fills the
// numbers of standings. Others go on, and are remembered once there is room again.
func TestTooManyStandings(t *testing.T) {
	w := New(Default())
	w.tidyAt = 1 << 30
	p := w.points.id(point{egress: true})
	for timeouts := range uint32(maxTimed) {
		w.standings.id(standing{authority: p, timeouts: timeouts})
	}
	for realm := uint32(1); len(w.standings.all) < maxNamed; realm++ {
		w.standings.id(standing{authority: p, realm: realm})
	}
	packets := uint64(0)
	at := eventtime.Tick(0)
	hear := func(f *flowv1.Flow) {
		at = max(at+1, eventtime.TickOf(f.TimeReceivedNs))
		w.Tick(at, []*flowv1.Flow{f}, func(f *flowv1.Flow) { packets += f.Packets })
		for w.NextTimer() < at+30 {
			at = max(at+1, w.NextTimer())
			w.Tick(at, nil, func(f *flowv1.Flow) { packets += f.Packets })
		}
	}
	hear(by(1, 1, 10))
	if packets != 5 {
		t.Fatalf("%d packets while there is no room, want 5", packets)
	}
	w.tidyAt = 0
	hear(by(1, 2, 40))
	if packets != 10 || len(w.standings.all) > 4 || len(w.points.all) != 1 {
		t.Fatalf("%d packets, %d standings, %d points", packets, len(w.standings.all), len(w.points.all))
	}
	late := by(2, 2, 40)
	late.TimeReceivedNs = second(60)
	if hear(late); packets != 10 {
		t.Errorf("%d packets after a late report, want 10: the authority was forgotten", packets)
	}
}
