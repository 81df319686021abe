package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// packages are whose tests guard the rules.
var packages = []string{"./dedup/merge", "./stitch/biflow", "./e2e/prepare"}

// runner runs the tests on broken code.
type runner struct {
	services string
	cases    int
}

// breakRule gives the names of the tests that fail without the rule.
func (r *runner) breakRule(ctx context.Context, rule *rule) (failed []string, err error) {
	text, err := rule.broken(r.services)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "flowledger-mutant-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	overlay, err := writeOverlay(dir, filepath.Join(r.services, rule.File), text)
	if err != nil {
		return nil, err
	}
	for _, p := range packages {
		names, err := r.test(ctx, overlay, p)
		if err != nil {
			return nil, err
		}
		failed = append(failed, names...)
	}
	slices.Sort(failed)
	return slices.Compact(failed), nil
}

// writeOverlay tells the compiler to read the broken text in place of a file.
func writeOverlay(dir, path, text string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	broken, overlay := filepath.Join(dir, "broken.go"), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(broken, []byte(text), 0o600); err != nil {
		return "", err
	}
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {path: broken}})
	if err != nil {
		return "", err
	}
	return overlay, os.WriteFile(overlay, replace, 0o600)
}

// test runs the tests of a package and names those that fail.
func (r *runner) test(ctx context.Context, overlay, pkg string) ([]string, error) {
	args := []string{"test", "-json", "-vet=off", "-timeout", "10m", "-overlay", overlay, pkg}
	if strings.HasSuffix(pkg, "/prepare") {
		// The tables are held against exact figures: any change turns them red, and that says little.
		args = append(args, "-skip", "TestVolumeAgainstTruth|TestClientAndServer", "-args", "-cases", strconv.Itoa(r.cases))
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = r.services
	out, err := cmd.Output()
	names, broken := failures(out)
	switch {
	case broken != "":
		return nil, fmt.Errorf("the broken code does not compile: %s", broken)
	case err != nil && len(names) == 0 && ctx.Err() == nil:
		return nil, fmt.Errorf("go test %s: %w", pkg, err)
	}
	return names, ctx.Err()
}

// failures reads the names of failed tests, or why the code does not compile, out of `go test -json`.
func failures(out []byte) (names []string, broken string) {
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var e struct{ Action, Test, Output string }
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		switch {
		case e.Action == "build-output" && !strings.HasPrefix(e.Output, "#") && broken == "":
			broken = strings.TrimSpace(e.Output)
		case e.Action == "fail" && e.Test != "" && !strings.Contains(e.Test, "/"):
			names = append(names, e.Test)
		}
	}
	return names, broken
}
