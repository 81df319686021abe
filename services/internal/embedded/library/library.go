// Package library fetches libchdb, the ClickHouse engine as a shared library,
// once for all processes of a user: npm brings the package, a pinned digest says
// that it is the right one, and the cache keeps it.
package library

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/flowledger/flowledger/services/internal/embedded/cache"
)

// Path returns the path of libchdb in the cache folder cacheDir ("" is
// FLOWLEDGER_CACHE, or else `flowledger` in the user's cache folder), fetching it
// first where it is missing, and telling log what it does. Any number of processes
// may call it at once: one fetches, the others wait.
func Path(ctx context.Context, cacheDir string, log io.Writer) (string, error) {
	a, err := artifactFor(runtime.GOOS, runtime.GOARCH)
	if err != nil {
		return "", err
	}
	return a.cached(ctx, cacheDir, log)
}

func (a artifact) cached(ctx context.Context, dir string, log io.Writer) (string, error) {
	root, err := cache.Dir(dir)
	if err != nil {
		return "", err
	}
	folder, err := cache.Ensure(ctx, root, a.folder(), log, func(ctx context.Context, tmp string) error {
		return fetchPackage(ctx, a, tmp, log)
	})
	if err != nil {
		return "", fmt.Errorf("cannot prepare the embedded ClickHouse engine: %w", err)
	}
	library := filepath.Join(folder, filepath.Base(a.library))
	if _, err := os.Stat(library); err != nil {
		return "", fmt.Errorf("the cached engine is incomplete (delete %s and try again): %w", folder, err)
	}
	return library, nil
}
