package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// differences is where two ledgers part.
type differences struct {
	got                                    *ledger
	missing, extra, different              []string
	alertsMissing, alertsExtra             []string
	flowsMissing, flowsExtra, flowsTwofold int
}

// compare holds what ClickHouse has against what it should.
func compare(want, got *ledger) *differences {
	d := &differences{got: got, flowsTwofold: got.twice}
	d.missing, d.extra, d.different = diff(want.biflows, got.biflows)
	var changed []string
	d.alertsMissing, d.alertsExtra, changed = diff(want.alerts, got.alerts)
	d.alertsMissing, d.alertsExtra = append(d.alertsMissing, changed...), append(d.alertsExtra, changed...)
	d.flowsMissing = max(want.flows-got.flows, 0)
	d.flowsExtra = max(got.flows-want.flows, 0)
	return d
}

func diff[K cmp.Ordered](want, got map[K]string) (missing, extra, different []string) {
	for _, k := range slices.Sorted(maps.Keys(want)) {
		switch line, ok := got[k]; {
		case !ok:
			missing = append(missing, fmt.Sprintf("%v %s", k, want[k]))
		case line != want[k]:
			different = append(different, fmt.Sprintf("%v want %s\n%v  got %s", k, want[k], k, line))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[k]; !ok {
			extra = append(extra, fmt.Sprintf("%v %s", k, got[k]))
		}
	}
	return missing, extra, different
}

func (d *differences) none() bool {
	return len(d.missing)+len(d.extra)+len(d.different)+len(d.alertsMissing)+len(d.alertsExtra)+
		d.flowsMissing+d.flowsExtra+d.flowsTwofold == 0
}

func (d *differences) verdict(want *ledger) verdict {
	return verdict{
		Biflows: len(want.biflows), Missing: len(d.missing), Extra: len(d.extra), Different: len(d.different),
		AlertsMissing: len(d.alertsMissing), AlertsExtra: len(d.alertsExtra), RowsInsertedTwice: d.flowsTwofold,
		Alerts: len(want.alerts), Flows: want.flows, Equal: d.none(),
	}
}

func (d *differences) String() string {
	return fmt.Sprintf("%d missing, %d extra, %d different; alerts %d missing, %d extra; flows %d missing, %d extra, %d twice",
		len(d.missing), len(d.extra), len(d.different), len(d.alertsMissing), len(d.alertsExtra), d.flowsMissing, d.flowsExtra, d.flowsTwofold)
}

// write keeps the evidence.
func (d *differences) write(path string) error {
	var b strings.Builder
	fmt.Fprintln(&b, d)
	for _, part := range []struct {
		name  string
		lines []string
	}{
		{"missing", d.missing}, {"extra", d.extra}, {"different", d.different},
		{"alerts missing", d.alertsMissing}, {"alerts extra", d.alertsExtra},
	} {
		fmt.Fprintf(&b, "\n== %s: %d\n%s\n", part.name, len(part.lines), strings.Join(part.lines, "\n"))
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}
