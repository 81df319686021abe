package prepare

import (
	"flag"
	"os"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "write the measured tables into docs/explain/preparation.md")

// document holds the tables, each between a line `<!-- name -->` and `<!-- end -->`.
const document = "../../../docs/explain/preparation.md"

var documentLock sync.Mutex

// checkTable holds a table against the one in the document, or puts it there.
func checkTable(t *testing.T, name string, rows [][]string) {
	t.Helper()
	t.Log("\n" + table(rows))
	documentLock.Lock()
	defer documentLock.Unlock()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), "<!-- "+name+" -->\n")
	have, after, ended := strings.Cut(rest, "<!-- end -->")
	if !ok || !ended {
		t.Fatalf("%s has no place for the table %q", document, name)
	}
	if have == table(rows) {
		return
	}
	if !*update {
		t.Errorf("%s tells otherwise of %q: run `go test ./e2e/prepare -update`", document, name)
		return
	}
	if err := os.WriteFile(document, []byte(before+"<!-- "+name+" -->\n"+table(rows)+"<!-- end -->"+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// table renders rows, the first being the heading.
func table(rows [][]string) string {
	var b strings.Builder
	for i, r := range rows {
		b.WriteString("| " + strings.Join(r, " | ") + " |\n")
		if i == 0 {
			b.WriteString("|" + strings.Repeat("---|", len(r)) + "\n")
		}
	}
	return b.String()
}
