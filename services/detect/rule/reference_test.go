package rule

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var rewrite = flag.Bool("rewrite", false, "renew docs/reference/rules.md and golden files")

func TestReferenceIsUpToDate(t *testing.T) {
	golden(t, "../../../docs/reference/rules.md", Reference())
}

// golden holds text against a file; with -rewrite it becomes the file.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test ./detect/rule -rewrite makes it)", err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s differs; go test ./detect/rule -rewrite renews it (-want, +got):\n%s", path, d)
	}
}
