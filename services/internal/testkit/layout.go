package testkit

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Layout holds that a core still reads a snapshot of the version that it writes: the one
// that testdata keeps comes out again as it went in. restore gives what a fresh core says
// of its state after it. For a version that testdata lacks today's is written there, as it
// is after a restore, which may number things anew; the file of a version that is no longer
// read goes.
func Layout(t *testing.T, version int, today []byte, restore func(snapshot []byte) ([]byte, error)) {
	t.Helper()
	path := filepath.Join("testdata", "snapshots", fmt.Sprintf("version%d", version))
	want, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		restored, err := restore(today)
		err = errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o755))
		if err == nil {
			err = os.WriteFile(path, restored, 0o644)
		}
		t.Fatalf("%s was not there and is now (%v): commit it", path, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	got, err := restore(want)
	if err != nil {
		t.Fatalf("%s: %v; does the layout need a new version?", path, err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("of %s came\n%x, not\n%x; does the layout need a new version?", path, got, want)
	}
}
