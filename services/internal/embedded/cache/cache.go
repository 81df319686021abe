// Package cache keeps large things that were fetched once (the ClickHouse
// engine, Kafka's jars) in a folder that all processes of a user share.
//
// An entry is a folder. It is filled under a temporary name and renamed when
// whole, under a lock file, so that a reader finds all of it or nothing, and of
// several processes that need it at once only one fetches.
package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lockPoll is how often a waiting process looks whether the lock is free.
const lockPoll = 200 * time.Millisecond

// Dir returns the cache folder: dir if not empty, else FLOWLEDGER_CACHE, else
// `flowledger` in the user's cache folder.
func Dir(dir string) (string, error) {
	if dir == "" {
		dir = os.Getenv("FLOWLEDGER_CACHE")
	}
	if dir != "" {
		return filepath.Abs(dir)
	}
	user, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("cannot find a cache folder (set FLOWLEDGER_CACHE): %w", err)
	}
	return filepath.Join(user, "flowledger"), nil
}

// Ensure returns the folder of an entry, calling fill with an empty folder
// first where the entry is missing. What fill leaves there becomes the entry;
// if it fails nothing is kept.
func Ensure(ctx context.Context, root, name string, log io.Writer, fill func(ctx context.Context, tmp string) error) (string, error) {
	entry := filepath.Join(root, name)
	if isDir(entry) {
		return entry, nil
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", fmt.Errorf("cannot make the cache folder (set FLOWLEDGER_CACHE to one that can be written): %w", err)
	}
	unlock, err := lock(ctx, entry+".lock", log)
	if err != nil {
		return "", err
	}
	defer unlock()
	if isDir(entry) { // whoever held the lock has filled it
		return entry, nil
	}
	if err := fillEntry(ctx, root, entry, fill); err != nil {
		return "", err
	}
	return entry, nil
}

func fillEntry(ctx context.Context, root, entry string, fill func(ctx context.Context, tmp string) error) error {
	tmp, err := os.MkdirTemp(root, filepath.Base(entry)+".tmp-")
	if err != nil {
		return fmt.Errorf("cannot make a folder to fetch into: %w", err)
	}
	defer os.RemoveAll(tmp) // nothing is left of it once renamed
	if err := fill(ctx, tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, entry); err != nil {
		return fmt.Errorf("cannot put the fetched folder in its place: %w", err)
	}
	return nil
}

// lock takes an exclusive lock on a file, waiting for other processes. The
// kernel frees it when its holder dies, so a killed fetch blocks nobody.
func lock(ctx context.Context, path string, log io.Writer) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot open the cache's lock file: %w", err)
	}
	for said := false; ; said = true {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("cannot lock %s: %w", path, err)
		}
		if !said {
			fmt.Fprintf(log, "waiting for another process that is filling %s\n", filepath.Dir(path))
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("gave up waiting for the lock %s: %w", path, ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
