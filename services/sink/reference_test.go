package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const generated = "<!-- From here on this page is made of the ledger's own comments: go test ./services/sink -run TestReference -rewrite -->\n"

// The columns of docs/reference/tables.md are what DESCRIBE says.
func TestReference(t *testing.T) {
	l := newLedger(t)
	page, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	head, tail, found := strings.Cut(string(page), generated)
	if !found {
		t.Fatalf("%s lacks the line %q", reference, generated)
	}
	want := describe(t, l)
	if *rewrite {
		if err := os.WriteFile(reference, []byte(head+generated+want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, tail); diff != "" {
		t.Errorf("%s is behind the migrations (-want +is; -rewrite to accept):\n%s", reference, diff)
	}
}

func describe(t *testing.T, l *ledger) string {
	t.Helper()
	var s strings.Builder
	tables := ask(t, l.conn, `SELECT name, comment, engine, sorting_key, partition_key FROM system.tables
		WHERE database = currentDatabase() AND name != 'schema_version' ORDER BY engine = 'View', name`)
	for _, line := range tables {
		f := strings.Split(line, "\t")
		fmt.Fprintf(&s, "\n## %s\n%s.\n", f[0], plain(f[1]))
		if f[2] == "View" {
			continue
		}
		fmt.Fprintf(&s, "\n%s, ordered by `%s`", f[2], f[3])
		if f[4] != "" {
			fmt.Fprintf(&s, ", a partition per `%s`", f[4])
		}
		s.WriteString(".\n\n| column | type | meaning |\n|---|---|---|\n")
		for _, c := range ask(t, l.conn, fmt.Sprintf(`SELECT name, type, comment FROM system.columns
			WHERE database = currentDatabase() AND table = '%s' ORDER BY position`, f[0])) {
			c := strings.Split(c, "\t")
			fmt.Fprintf(&s, "| %s | %s | %s |\n", c[0], short(c[1]), plain(c[2]))
		}
	}
	return s.String()
}

// plain undoes the escapes of TSV.
func plain(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, `\'`, "'"), "|", `\|`) }

// short is a type without what the meaning says better.
func short(kind string) string {
	kind = plain(kind)
	for _, name := range []string{"Enum8(", "Array(Enum8("} {
		if rest, ok := strings.CutPrefix(kind, name); ok {
			return strings.TrimSuffix(strings.ReplaceAll(name, "Enum8(", "Enum8: "), " ") + " " + enumerators(rest) + strings.Repeat(")", strings.Count(name, "(")-1)
		}
	}
	return "`" + kind + "`"
}

// enumerators are the names of an Enum8's values.
func enumerators(list string) string {
	var names []string
	for i, part := range strings.Split(list, "'") {
		if i%2 == 1 {
			names = append(names, "`"+part+"`")
		}
	}
	return strings.Join(names, " ")
}
