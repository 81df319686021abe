package merge

import (
	"testing"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/slab"
)

// One tuple in several realms is as many flows, each with an authority of its own,
// whatever is restored in between.
func TestRealmsAreApart(t *testing.T) {
	in := func(realm uint32, f *flowv1.Flow) *flowv1.Flow {
		f.Realm, f.RecordId = realm, f.RecordId+uint64(realm)
		return f
	}
	var reports []*flowv1.Flow
	for realm := range uint32(3) {
		reports = append(reports, in(realm, report(1+int(realm), 0, 5, 10)), in(realm, report(7, 0, 6, 4)))
	}
	late := in(1, report(8, 0, 5, 10))
	late.TimeReceivedNs = second(30)
	reports = append(reports, late)

	want := "1: 10 packets 0-5 max +7(4)\n2: 10 packets 0-5 max +7(4)\n3: 10 packets 0-5 max +7(4)\n2: 0 packets 0-5 max late +8(10)\n"
	for name, out := range map[string][]*flowv1.Flow{"whole": play(Default(), reports), "restored": playRestored(t, Default(), reports)} {
		if got := lines(out); got != want {
			t.Errorf("%s:\n%swant\n%s", name, got, want)
		}
		for i, realm := range []uint32{0, 1, 2, 1} {
			if i < len(out) && out[i].Realm != realm {
				t.Errorf("%s: flow %d is of realm %d, want %d", name, i, out[i].Realm, realm)
			}
		}
	}
}

func TestAnEntryIsOfOneRealm(t *testing.T) {
	w, k := New(Default()), flow.KeyOf(report(1, 0, 5, 10))
	k.Realm = 3
	e, _ := w.entry(&k, k.Hash(), slab.None)
	if !w.is(e, &k) || w.key(e) != k {
		t.Errorf("%v is not found again, but %v", k, w.key(e))
	}
	if k.Realm = 4; w.is(e, &k) {
		t.Error("it is found in another realm")
	}
}

// Beyond what an entry can tell apart, timeouts are taken for unknown.
func TestStandingsAreBounded(t *testing.T) {
	s := newStandings()
	sole := standing{authority: 1, reason: flowv1.Authority_AUTHORITY_SOLE}
	want := s.id(sole)
	for sole.timeouts = 1; len(s.all) < maxTimed; sole.timeouts++ {
		s.id(sole)
	}
	sole.timeouts++
	if got := s.id(sole); got != want {
		t.Errorf("number %d, want that of unknown timeouts, %d", got, want)
	}
}
