package testkit

import (
	"os"
	"strings"
	"sync"
	"testing"
)

var pages sync.Mutex

// Section holds text against what a page has between the lines `<!-- name -->` and
// `<!-- end -->`; with update it is put there. how says what writes it.
func Section(t *testing.T, page, name, text, how string, update bool) {
	t.Helper()
	pages.Lock()
	defer pages.Unlock()
	all, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	mark := "<!-- " + name + " -->\n"
	before, rest, ok := strings.Cut(string(all), mark)
	have, after, ended := strings.Cut(rest, "<!-- end -->")
	switch {
	case !ok || !ended:
		t.Fatalf("%s has no place for %q", page, name)
	case have == text:
	case !update:
		t.Errorf("%s tells otherwise of %q: run `%s`", page, name, how)
	default:
		if err := os.WriteFile(page, []byte(before+mark+text+"<!-- end -->"+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Table renders rows, the first being the heading, in Markdown.
func Table(rows [][]string) string {
	var b strings.Builder
	for i, r := range rows {
		b.WriteString("| " + strings.Join(r, " | ") + " |\n")
		if i == 0 {
			b.WriteString("|" + strings.Repeat("---|", len(r)) + "\n")
		}
	}
	return b.String()
}
