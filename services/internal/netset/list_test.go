package netset

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowledger/flowledger/services/internal/conf"
)

type listConfig struct {
	Allow List     `yaml:"allow"`
	Ours  Networks `yaml:"ours"`
	Sites []struct {
		CIDR List `yaml:"cidr"`
	} `yaml:"sites"`
}

// Lists go through the configuration like lists of anything else: replaced as a
// whole, by anchors and in structs, and what is wrong is said by its place.
func TestListInAFile(t *testing.T) {
	cfg := listConfig{Allow: List{netip.MustParsePrefix("0.0.0.0/0")}}
	text := "sites:\n- cidr: &all [192.0.2.0/24, \"2001:db8::/32\"]\nallow: *all\n"
	if err := conf.LoadYAML(&cfg, "f", []byte(text)); err != nil {
		t.Fatal(err)
	}
	want := List{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	same := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
	if diff := cmp.Diff(cfg.Allow, want, same); diff != "" {
		t.Errorf("allow (-got, +want)\n%s", diff)
	}
	if diff := cmp.Diff(cfg.Sites[0].CIDR, want, same); diff != "" {
		t.Errorf("sites (-got, +want)\n%s", diff)
	}
	err := conf.LoadYAML(&cfg, "f", []byte("allow:\n- 192.0.2.0/24\n- 192.0.2.1\n"))
	if err == nil || !strings.HasPrefix(err.Error(), "f:3:3: allow[1]: \"192.0.2.1\" is no prefix") {
		t.Errorf("got %v", err)
	}
	if err := conf.LoadYAML(&cfg, "f", []byte("ours: [192.0.2.1, \"2001:db8::/32\"]\n")); err != nil || cfg.Ours[0].Bits() != 32 || cfg.Ours[1].Bits() != 32 {
		t.Errorf("%v, %v", cfg.Ours, err)
	}
	err = conf.LoadYAML(&cfg, "f", []byte("ours: [192.0.2.1/24]\n"))
	if err == nil || !strings.HasPrefix(err.Error(), "f:1:8: ours[0]: ") || !strings.HasSuffix(err.Error(), "write 192.0.2.0/24") {
		t.Errorf("got %v", err)
	}
	if err := conf.LoadYAML(&cfg, "f", []byte("allow: 192.0.2.0/24\n")); err == nil || !strings.Contains(err.Error(), "where a list ([a, b]) is wanted") {
		t.Errorf("got %v", err)
	}
}

// Ten times the list takes ten times the memory to read, not a hundred times.
func TestLongListsAreReadInTime(t *testing.T) {
	read := func(list string, n int) uint64 {
		var text strings.Builder
		text.WriteString(list + ":\n")
		for i := range n {
			fmt.Fprintf(&text, "- 10.%d.%d.0/24\n", i>>8, i&0xff)
		}
		var cfg listConfig
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := conf.LoadYAML(&cfg, "f", []byte(text.String())); err != nil || len(cfg.Allow)+len(cfg.Ours) != n {
			t.Fatalf("%d of %d prefixes: %v", len(cfg.Allow)+len(cfg.Ours), n, err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	for _, list := range []string{"allow", "ours"} {
		if few, many := read(list, 200), read(list, 2000); many > 20*few {
			t.Errorf("%s: 200 prefixes take %d bytes, 2000 take %d", list, few, many)
		}
	}
}

func TestListAsSet(t *testing.T) {
	set := List{netip.MustParsePrefix("192.0.2.7/24"), netip.MustParsePrefix("2001:db8::/32")}.Set()
	for addr, want := range map[string]bool{"192.0.2.9": true, "192.0.3.1": false, "2001:db8::1": true, "2001:db9::1": false} {
		if got := set.Contains(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v, want %v", addr, got, want)
		}
	}
}
