package netset

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowledger/flowledger/services/internal/conf"
)

type listConfig struct {
	Allow List `yaml:"allow"`
	Sites []struct {
		CIDR List `yaml:"cidr"`
	} `yaml:"sites"`
}

// Lists go through the configuration like lists of anything else: replaced as a
// whole, by anchors and in structs, and what is wrong is said by its place.
func TestListInAFile(t *testing.T) {
	cfg := listConfig{Allow: MustParse("0.0.0.0/0")}
	text := "sites:\n- cidr: &all [192.0.2.7/24, 192.0.2.1, \"2001:db8::/32\"]\nallow: *all\n"
	if err := conf.LoadYAML(&cfg, "f", []byte(text)); err != nil {
		t.Fatal(err)
	}
	want := MustParse("192.0.2.0/24", "192.0.2.1/32", "2001:db8::/32")
	same := cmp.Comparer(func(a, b Prefix) bool { return a == b })
	if diff := cmp.Diff(cfg.Allow, want, same); diff != "" {
		t.Errorf("allow (-got, +want)\n%s", diff)
	}
	if diff := cmp.Diff(cfg.Sites[0].CIDR, want, same); diff != "" {
		t.Errorf("sites (-got, +want)\n%s", diff)
	}
	err := conf.LoadYAML(&cfg, "f", []byte("allow:\n- 192.0.2.0/24\n- 192.0.2.256\n"))
	if err == nil || !strings.HasPrefix(err.Error(), "f:3:3: allow[1]: \"192.0.2.256\" is no prefix: cannot use \"192.0.2.256\" as a network: write ") {
		t.Errorf("got %v", err)
	}
	if err := conf.LoadYAML(&cfg, "f", []byte("allow: 192.0.2.0/24\n")); err == nil || !strings.Contains(err.Error(), "where a list ([a, b]) is wanted") {
		t.Errorf("got %v", err)
	}
}

// Ten times the list takes ten times the memory to read, not a hundred times.
func TestLongListsAreReadInTime(t *testing.T) {
	read := func(n int) uint64 {
		var text strings.Builder
		text.WriteString("allow:\n")
		for i := range n {
			fmt.Fprintf(&text, "- 10.%d.%d.0/24\n", i>>8, i&0xff)
		}
		var cfg listConfig
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := conf.LoadYAML(&cfg, "f", []byte(text.String())); err != nil || len(cfg.Allow) != n {
			t.Fatalf("%d of %d prefixes: %v", len(cfg.Allow), n, err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	if few, many := read(200), read(2000); many > 20*few {
		t.Errorf("200 networks take %d bytes, 2000 take %d", few, many)
	}
}
