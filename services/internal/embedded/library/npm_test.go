package library

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pretendNPM puts a program called npm on PATH, alone.
func pretendNPM(t *testing.T, script string) {
	t.Helper()
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "npm"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
}

func TestFetchWithoutNPM(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	a, err := artifactFor("linux", "amd64")
	if err != nil {
		t.Fatal(err)
	}
	_, err = a.cached(t.Context(), t.TempDir(), &bytes.Buffer{})
	if !errors.Is(err, ErrNoNPM) || !strings.Contains(err.Error(), "CLICKHOUSE_ADDR") {
		t.Errorf("got %v", err)
	}
}

// npm's own words reach the user.
func TestFetchFails(t *testing.T) {
	pretendNPM(t, "echo registry unreachable >&2; exit 1")
	a, _ := artifactFor("linux", "amd64")
	_, err := a.cached(t.Context(), t.TempDir(), &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "registry unreachable") {
		t.Errorf("got %v", err)
	}
}

// What is not the pinned package is not used, and not kept.
func TestFetchRefusesAnotherPackage(t *testing.T) {
	pretendNPM(t, `while [ "$1" != --pack-destination ]; do shift; done; echo evil > "$2/x.tgz"`)
	root := t.TempDir()
	a, _ := artifactFor("linux", "amd64")
	_, err := a.cached(t.Context(), root, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "not the pinned one") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(root, a.folder())); err == nil {
		t.Error("the wrong package was kept")
	}
}

func TestArtifacts(t *testing.T) {
	if _, err := artifactFor("linux", "arm64"); err != nil {
		t.Error(err)
	}
	if _, err := artifactFor("plan9", "386"); err == nil || !strings.Contains(err.Error(), "CLICKHOUSE_ADDR") {
		t.Errorf("an unknown platform: %v", err)
	}
}
