package rows

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/reflect/protoreflect"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// A column has the name of the record's field; none is forgotten.
func TestEveryFieldHasAColumn(t *testing.T) {
	all := func(m protoreflect.ProtoMessage) (names []string) {
		fields := m.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			name := strings.TrimSuffix(string(fields.Get(i).Name()), "_ns")
			if name == "reporters" {
				continue // reporters.* are checked on their own
			}
			names = append(names, name)
		}
		return names
	}
	flows, biflows := NewFlows(), NewBiflows()
	for _, c := range []struct {
		table     string
		fields    []string
		columns   []string
		reporters []string
	}{
		{"flows", all(&flowv1.Flow{}), names(flows.table.fields), all(&flowv1.Reporter{})},
		{"biflows", all(&flowv1.Biflow{}), names(biflows.biflows.fields),
			[]string{"sampler_address", "observation_domain_id", "direction", "type", "in_if", "out_if"}},
		{"events", all(&flowv1.Event{}), names(NewEvents().table.fields), nil},
		{"exporters", all(&flowv1.ExporterFact{}), names(NewExporters().table.fields), nil},
	} {
		want := slices.Clone(c.fields)
		for _, r := range c.reporters {
			want = append(want, "reporters."+r)
		}
		slices.Sort(want)
		slices.Sort(c.columns)
		if diff := cmp.Diff(want, c.columns); diff != "" {
			t.Errorf("table %s (-fields +columns):\n%s", c.table, diff)
		}
	}
}

// names lists the columns a table may have.
func names[R any](fields []field[R]) (all []string) {
	for _, f := range fields {
		all = append(all, f.title())
	}
	return all
}
