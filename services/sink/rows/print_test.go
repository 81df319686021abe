package rows

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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

// print writes blocks as text, a line per column.
func print(blocks []Block) string {
	var s strings.Builder
	for _, b := range blocks {
		fmt.Fprintf(&s, "%s: %d rows\n", b.Table, b.Rows)
		for _, c := range b.Columns {
			fmt.Fprintf(&s, "  %-32s %s\n", c.Name, show(reflect.ValueOf(c.Values)))
		}
	}
	return s.String()
}

func show(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case [16]byte:
		return netip.AddrFrom16(x).Unmap().String()
	case Time:
		return time.Unix(0, int64(x)).UTC().Format(time.RFC3339Nano)
	case string:
		return fmt.Sprintf("%q", x)
	}
	if v.Kind() != reflect.Slice {
		return fmt.Sprint(v.Interface())
	}
	var parts []string
	for i := range v.Len() {
		parts = append(parts, show(v.Index(i)))
	}
	return "[" + strings.Join(parts, " ") + "]"
}
