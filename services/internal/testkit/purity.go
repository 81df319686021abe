// Package testkit is what tests of several packages share: the rules a core
// must keep, the laws it is tested by, captures and slow reference models.
package testkit

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is the import path below which our own packages live.
const module = "github.com/flowledger/flowledger/"

// coreImports are the packages outside the standard library that any core may
// import; a trailing slash means everything below.
var coreImports = []string{
	module + "proto/",
	module + "services/internal/flow",
	module + "services/internal/eventtime",
	module + "services/internal/netset",
	module + "services/internal/slab",
	module + "services/internal/snap",
	"github.com/cespare/xxhash/v2",
	"google.golang.org/protobuf/",
}

// impureImports are the standard packages that reach for the world outside:
// sockets, files, logs, chance, other goroutines.
var impureImports = []string{
	"crypto/rand", "database/sql", "hash/maphash", "io/ioutil", "log", "log/", "math/rand", "math/rand/",
	"net", "net/", "os", "os/", "plugin", "runtime", "runtime/", "sync", "sync/", "syscall", "testing", "unsafe",
}

// impureTime are the functions of package time that read the clock or wait for it.
var impureTime = []string{
	"After", "AfterFunc", "Local", "NewTicker", "NewTimer", "Now", "Since", "Sleep", "Tick", "Until",
}

// Pure fails the test where the Go files of dir (its tests apart) do what a core
// must not: import beyond its row of the layout, read a clock, start goroutines,
// use channels. Packages named in allowed may be imported all the same; with a
// trailing slash, everything below them too.
func Pure(t *testing.T, dir string, allowed ...string) {
	t.Helper()
	faults, err := impurities(dir, allowed)
	if err != nil {
		t.Fatalf("cannot check that %s is pure: %v", dir, err)
	}
	for _, f := range faults {
		t.Error(f)
	}
}

// impurities lists the faults of the Go files in dir, in order of files and lines.
func impurities(dir string, allowed []string) (faults []string, err error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	checked := 0
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		found, err := impuritiesOf(path, src, allowed)
		if err != nil {
			return nil, err
		}
		faults = append(faults, found...)
		checked++
	}
	if checked == 0 {
		return nil, fmt.Errorf("there are no Go files in it")
	}
	return faults, nil
}

// impuritiesOf lists the faults of one file.
func impuritiesOf(path string, src []byte, allowed []string) (faults []string, err error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	fault := func(at token.Pos, format string, args ...any) {
		p := fset.Position(at)
		faults = append(faults, fmt.Sprintf("%s:%d: %s", p.Filename, p.Line, fmt.Sprintf(format, args...)))
	}
	timeName := ""
	for _, imp := range file.Imports {
		name, _ := strconv.Unquote(imp.Path.Value)
		if why := forbidden(name, allowed); why != "" {
			fault(imp.Pos(), "a core must not import %q: %s", name, why)
		}
		if name == "time" {
			timeName = "time"
			if imp.Name != nil {
				timeName = imp.Name.Name
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			fault(n.Pos(), "a core must not start goroutines")
		case *ast.SelectStmt, *ast.SendStmt, *ast.ChanType:
			fault(n.Pos(), "a core must not use channels")
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && timeName != "" && x.Name == timeName && slices.Contains(impureTime, n.Sel.Name) {
				fault(n.Pos(), "a core must not use time.%s: time enters as data", n.Sel.Name)
			}
		}
		return true
	})
	return faults, nil
}

// forbidden says why a core may not import a package; empty if it may.
func forbidden(name string, allowed []string) string {
	if listed(name, allowed) {
		return ""
	}
	if standard(name) {
		if name != "net/netip" && listed(name, impureImports) {
			return "it reaches for the world outside"
		}
		return ""
	}
	if listed(name, coreImports) {
		return ""
	}
	return "it is not in a core's row of the layout"
}

// standard tells whether a package is of the standard library: its first
// element has no dot.
func standard(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return !strings.Contains(first, ".")
}

// listed tells whether name is in the list, or below an entry with a trailing slash.
func listed(name string, list []string) bool {
	return slices.ContainsFunc(list, func(entry string) bool {
		return name == entry || strings.HasSuffix(entry, "/") && strings.HasPrefix(name, entry)
	})
}
