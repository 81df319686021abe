package prepare

import (
	"flag"
	"testing"

	"github.com/flowledger/flowledger/services/internal/testkit"
)

var update = flag.Bool("update", false, "write the measured tables into docs/explain/preparation.md")

// checkTable holds a table against the one in docs/explain/preparation.md, or puts it there.
func checkTable(t *testing.T, name string, rows [][]string) {
	t.Helper()
	text := testkit.Table(rows)
	t.Log("\n" + text)
	testkit.Section(t, "../../../docs/explain/preparation.md", name, text, "go test ./e2e/prepare -update", *update)
}
