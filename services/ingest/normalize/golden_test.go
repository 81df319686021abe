package normalize

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/flowledger/flowledger/services/internal/testkit"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestCapturesGolden holds every field of every capture's flows, events and
// facts, those of our own (testdata/captures) among them. The files were read beside tshark's dissection of the same captures.
func TestCapturesGolden(t *testing.T) {
	needShared(t)
	paths, err := filepath.Glob(filepath.Join(shared, "captures", "*.pcap"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	own, err := filepath.Glob(filepath.Join("testdata", "captures", "*.pcap.gz"))
	if err != nil || len(own) == 0 {
		t.Fatalf("no captures of our own: %v", err)
	}
	for _, path := range append(paths, own...) {
		name, _, _ := strings.Cut(filepath.Base(path), ".pcap")
		t.Run(name, func(t *testing.T) {
			out := normalized(Default(), datagrams(t, path))
			conserved(t, out)
			testkit.Golden(t, filepath.Join("testdata", "golden", name+".jsonl"), renderResult(out), *update)
		})
	}
}

// renderResult writes a result as JSON lines with the fields' names, addresses
// and times as text, in the order of field numbers.
func renderResult(out *Result) []byte {
	var b bytes.Buffer
	for _, f := range out.Flows {
		fmt.Fprintf(&b, "{\"flow\":%s}\n", renderMessage(f))
	}
	for _, e := range out.Events {
		fmt.Fprintf(&b, "{\"event\":%s}\n", renderMessage(e))
	}
	for _, f := range out.Facts {
		fmt.Fprintf(&b, "{\"fact\":%s}\n", renderMessage(f))
	}
	for _, d := range out.Dns {
		fmt.Fprintf(&b, "{\"dns\":%s}\n", renderMessage(d))
	}
	for _, d := range out.Dead {
		fmt.Fprintf(&b, "{\"dead\":{\"reason\":%q,\"length\":%d}}\n", d.Reason, len(d.Bytes))
	}
	return b.Bytes()
}

func renderMessage(m proto.Message) string {
	r := m.ProtoReflect()
	type pair struct {
		number protoreflect.FieldNumber
		text   string
	}
	var pairs []pair
	r.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		pairs = append(pairs, pair{fd.Number(), fmt.Sprintf("%q:%s", fieldName(fd), renderField(fd, v))})
		return true
	})
	slices.SortFunc(pairs, func(a, b pair) int { return int(a.number) - int(b.number) })
	texts := make([]string, len(pairs))
	for i := range pairs {
		texts[i] = pairs[i].text
	}
	return "{" + strings.Join(texts, ",") + "}"
}

func fieldName(fd protoreflect.FieldDescriptor) string {
	return strings.TrimSuffix(string(fd.Name()), "_ns")
}

func renderField(fd protoreflect.FieldDescriptor, v protoreflect.Value) string {
	switch {
	case fd.IsMap():
		m := map[string]string{}
		v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			m[k.String()] = v.String()
			return true
		})
		return toJSON(m)
	case fd.IsList():
		var items []string
		for i := range v.List().Len() {
			items = append(items, renderScalar(fd, v.List().Get(i)))
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	return renderScalar(fd, v)
}

func renderScalar(fd protoreflect.FieldDescriptor, v protoreflect.Value) string {
	name := string(fd.Name())
	switch {
	case fd.Kind() == protoreflect.MessageKind:
		return renderMessage(v.Message().Interface())
	case fd.Kind() == protoreflect.EnumKind:
		return toJSON(string(fd.Enum().Values().ByNumber(v.Enum()).Name()))
	case fd.Kind() == protoreflect.BytesKind && name == "template":
		return toJSON(hex.EncodeToString(v.Bytes()))
	case fd.Kind() == protoreflect.BytesKind:
		a, _ := netip.AddrFromSlice(v.Bytes())
		return toJSON(a.String())
	case strings.HasSuffix(name, "_ns"):
		return toJSON(time.Unix(0, int64(v.Uint())).UTC().Format(time.RFC3339Nano))
	case strings.HasSuffix(name, "_mac"):
		return toJSON(macNumber(v.Uint()))
	case strings.HasSuffix(name, "_id") && fd.Kind() == protoreflect.Fixed64Kind:
		return toJSON(fmt.Sprintf("%016x", v.Uint()))
	}
	return toJSON(v.Interface())
}

func toJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}
