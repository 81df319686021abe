package testkit

import (
	"strings"
	"testing"
)

func TestImpurities(t *testing.T) {
	f := func(src string, want ...string) {
		t.Helper()
		faults, err := impuritiesOf("x.go", []byte("package x\n"+src), []string{"example.org/kept/"})
		if err != nil {
			t.Fatal(err)
		}
		if len(faults) != len(want) {
			t.Fatalf("%s: faults %q, want %q", src, faults, want)
		}
		for i := range want {
			if !strings.Contains(faults[i], want[i]) {
				t.Errorf("%s: fault %q, want one with %q", src, faults[i], want[i])
			}
		}
	}
	f(`import "net/netip"`)
	f(`import "net"`, `x.go:2: a core must not import "net"`)
	f(`import "log/slog"`, `"log/slog"`)
	f(`import "math/rand/v2"`, `"math/rand/v2"`)
	f(`import "example.org/kept/deep"`)
	f(`import "example.org/other"`, "not in a core's row")
	f(`import "github.com/flowledger/flowledger/services/internal/flow"`)
	f(`import "github.com/flowledger/flowledger/services/internal/stage"`, "not in a core's row")
	f(`import "github.com/flowledger/flowledger/proto/flow/v1"`)
	f("import \"time\"\nvar d = time.Second")
	f("import \"time\"\nvar d = time.Now()", "time.Now")
	f("import clock \"time\"\nvar d = clock.Since", "time.Since")
	f("func f() { go f() }", "goroutines")
	f("func f(c chan int) { c <- 1 }", "channels", "channels")
}

func TestImpuritiesNeedsFiles(t *testing.T) {
	if _, err := impurities(t.TempDir(), nil); err == nil {
		t.Error("an empty folder passes as pure")
	}
}
