package main

import (
	"encoding/binary"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/reflect/protoreflect"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/sink/rows"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// golden holds got against testdata/<name>.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -rewrite to accept):\n%s", path, diff)
	}
}

// Records with every field set come back with every column set: to the field's
// number, so that none can be taken for another.
func TestEveryColumnComesBack(t *testing.T) {
	l := newLedger(t)
	for _, c := range []struct {
		topic   string
		records []flow.Message
	}{
		{"flows.deduped", []flow.Message{full(&flowv1.Flow{}), &flowv1.Flow{TimeReceivedNs: 1789725601e9}}},
		{"biflows", []flow.Message{full(&flowv1.Biflow{}), &flowv1.Biflow{FlowId: 2, TimeOpenedNs: 1789725601e9}}},
		{"events", []flow.Message{full(&flowv1.Event{}), &flowv1.Event{TimeReceivedNs: 1789725601e9}}},
		{"exporters", []flow.Message{full(&flowv1.ExporterFact{}), &flowv1.ExporterFact{}}},
		{"dns", []flow.Message{full(&flowv1.Dns{}), &flowv1.Dns{DnsName: "nowhere"}}},
	} {
		var value []byte
		for _, r := range c.records {
			value = flow.AppendDelimited(value, r)
		}
		b := mustBuilder(t, c.topic)
		if _, err := b.Append(nil, value); err != nil {
			t.Fatal(err)
		}
		for _, block := range b.Take() {
			if err := l.insert(t.Context(), c.topic, block); err != nil {
				t.Fatal(err)
			}
			golden(t, "back_"+block.Table+".json", strings.Join(asJSON(t, l, block.Table), "\n"))
		}
	}
}

func TestAlertsComeBack(t *testing.T) {
	l := newLedger(t)
	b := mustBuilder(t, "alerts")
	const finding = `{"activity_id":2,"class_uid":2004,"time":1789725601234,"start_time":1789725600000,"end_time":1789725601000,"severity_id":4,"status_id":2,
"confidence_score":92,"message":"192.168.1.9 probed 44 ports of 10.0.0.1","finding_info":{"uid":"a1","title":"Port scan","analytic":{"uid":"port_scan"},
"related_events_count":44,"attacks":[{"technique":{"uid":"T1046"}}]}}`
	if _, err := b.Append([]byte("192.168.1.9"), []byte(finding)); err != nil {
		t.Fatal(err)
	}
	for _, block := range b.Take() {
		if err := l.insert(t.Context(), "a", block); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "back_alerts.json", strings.Join(asJSON(t, l, "alerts"), "\n"))
}

func mustBuilder(t testing.TB, topic string) rows.Builder {
	t.Helper()
	b, err := rows.For(topic)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// asJSON is a table's rows, a line per column.
func asJSON(t *testing.T, l *ledger, table string) []string {
	t.Helper()
	return ask(t, l.conn, "SELECT * EXCEPT time_inserted FROM "+table+" ORDER BY ALL", "PrettyJSONEachRow")
}

// full sets every field of a message: numbers and texts to the field's number,
// addresses to 10.0.0.<number>, times to <number> nanoseconds after a second.
func full[M protoreflect.ProtoMessage](m M) M {
	fill(m.ProtoReflect())
	return m
}

func fill(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case f.IsMap():
			m.Mutable(f).Map().Set(protoreflect.ValueOfString("key").MapKey(), protoreflect.ValueOfString("value"))
		case f.IsList() && f.Message() != nil:
			for range 2 {
				fill(m.Mutable(f).List().AppendMutable().Message())
			}
		case f.IsList():
			m.Mutable(f).List().Append(valueOf(f))
		case f.Message() != nil:
			fill(m.Mutable(f).Message())
		default:
			m.Set(f, valueOf(f))
		}
	}
}

func valueOf(f protoreflect.FieldDescriptor) protoreflect.Value {
	n := uint64(f.Number())
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(f.Enum().Values().Get(1).Number())
	case protoreflect.StringKind:
		if f.Name() == "data" {
			return protoreflect.ValueOfString("10.0.0.4")
		}
		return protoreflect.ValueOfString(string(f.Name()))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(binary.BigEndian.AppendUint32(nil, 10<<24+uint32(n)))
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(0.5)
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(n))
	}
	if strings.HasSuffix(string(f.Name()), "_ns") {
		n += 1789725600e9
	}
	return protoreflect.ValueOfUint64(n)
}
