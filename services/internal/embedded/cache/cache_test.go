package cache_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/flowledger/flowledger/services/internal/embedded/cache"
)

func fill(text string) func(context.Context, string) error {
	return func(_ context.Context, tmp string) error {
		return os.WriteFile(filepath.Join(tmp, "file"), []byte(text), 0o644)
	}
}

// Of many who need an entry at once, one fills it and all get it.
func TestEnsureOnce(t *testing.T) {
	root := filepath.Join(t.TempDir(), "made", "here")
	var filled atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			folder, err := cache.Ensure(t.Context(), root, "entry", io.Discard, func(ctx context.Context, tmp string) error {
				filled.Add(1)
				return fill("whole")(ctx, tmp)
			})
			if err != nil {
				t.Error(err)
				return
			}
			if text, err := os.ReadFile(filepath.Join(folder, "file")); string(text) != "whole" {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
	wg.Wait()
	if n := filled.Load(); n != 1 {
		t.Errorf("filled %d times", n)
	}
}

// A fill that fails leaves nothing behind, and the next try starts anew.
func TestEnsureFails(t *testing.T) {
	root := t.TempDir()
	broken := errors.New("broken")
	_, err := cache.Ensure(t.Context(), root, "entry", io.Discard, func(ctx context.Context, tmp string) error {
		if err := fill("half")(ctx, tmp); err != nil {
			t.Fatal(err)
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(root, "entry.tmp-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := cache.Ensure(t.Context(), root, "entry", io.Discard, fill("whole")); err != nil {
		t.Error(err)
	}
}

// Waiting for another process ends with the context, and is said.
func TestEnsureWaits(t *testing.T) {
	root := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := cache.Ensure(t.Context(), root, "entry", io.Discard, func(context.Context, string) error {
		var log bytes.Buffer
		cancel()
		_, err := cache.Ensure(ctx, root, "entry", &log, fill("never"))
		if !errors.Is(err, context.Canceled) || !strings.Contains(log.String(), "waiting for another process") {
			t.Errorf("got %v, said %q", err, log.String())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestDir(t *testing.T) {
	f := func(dir, variable, want string) {
		t.Helper()
		t.Setenv("FLOWLEDGER_CACHE", variable)
		if got, err := cache.Dir(dir); err != nil || got != want {
			t.Errorf("Dir(%q) with FLOWLEDGER_CACHE=%q: %q, %v; want %q", dir, variable, got, err, want)
		}
	}
	user, err := os.UserCacheDir()
	if err != nil {
		t.Skip(err)
	}
	f("", "", filepath.Join(user, "flowledger"))
	f("", "/a/b", "/a/b")
	f("/c", "/a/b", "/c")
}
