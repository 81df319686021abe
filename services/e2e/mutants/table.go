package main

import (
	"fmt"
	"os"
	"strings"
)

// row is what came of breaking a rule.
type row struct {
	rule   *rule
	failed []string
}

// writeTable puts the table into the document.
func writeTable(document string, rows []row) error {
	var b strings.Builder
	b.WriteString("| rule | taken out of | tests that fail |\n|---|---|---|\n")
	for _, r := range rows {
		function, err := r.rule.function(".")
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "| %s | `%s`: `%s` | `%s` |\n", r.rule.Rule, r.rule.File, function, strings.Join(r.failed, "`, `"))
	}
	text, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	const mark, end = "<!-- mutants -->\n", "<!-- end -->"
	before, rest, ok := strings.Cut(string(text), mark)
	_, after, ended := strings.Cut(rest, end)
	if !ok || !ended {
		return fmt.Errorf("%s has no place for the table: a line %q and a line %q", document, strings.TrimSpace(mark), end)
	}
	return os.WriteFile(document, []byte(before+mark+b.String()+end+after), 0o644)
}
