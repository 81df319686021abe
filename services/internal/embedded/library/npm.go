package library

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// ErrNoNPM says what to do on a machine without Node.
var ErrNoNPM = errors.New("the embedded ClickHouse engine is fetched with npm, which is not on PATH: install Node.js (it brings npm), or put a `clickhouse` binary on PATH, or set CLICKHOUSE_ADDR=host:port to a running server's HTTP port")

// stillFetching is how often a long download says that it goes on.
const stillFetching = 10 * time.Second

// fetchPackage puts the library of an npm package into dir, and says on log
// what it does. npm is used as the user configured it (registry, proxy).
func fetchPackage(ctx context.Context, a artifact, dir string, log io.Writer) error {
	start := time.Now()
	fmt.Fprintf(log, "fetching the ClickHouse engine once: %s %s with npm (%d MB) ...\n", a.name, engineVersion, a.megabytes)
	packed, err := npmPack(ctx, a, dir, log)
	if err != nil {
		return err
	}
	if err := verify(packed, a.integrity); err != nil {
		return err
	}
	fmt.Fprintf(log, "unpacking the ClickHouse engine ...\n")
	if err := extract(packed, "package/"+a.library, dir); err != nil {
		return err
	}
	if err := os.Remove(packed); err != nil {
		return fmt.Errorf("cannot remove the packed file: %w", err)
	}
	fmt.Fprintf(log, "the ClickHouse engine is ready (%.1f s)\n", time.Since(start).Seconds())
	return nil
}

// npmPack downloads the package's packed file into dir and returns its path.
func npmPack(ctx context.Context, a artifact, dir string, log io.Writer) (string, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", ErrNoNPM
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, npm, "pack", a.name+"@"+engineVersion, "--pack-destination", dir, "--loglevel=error", "--ignore-scripts")
	cmd.Dir, cmd.Stderr = dir, &stderr
	if err := runNoting(cmd, log); err != nil {
		return "", fmt.Errorf("npm could not fetch %s@%s (is the registry reachable? `npm ping` tells): %w: %s", a.name, engineVersion, err, strings.TrimSpace(stderr.String()))
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(files) != 1 {
		return "", fmt.Errorf("npm pack left %d packed files in %s, want 1", len(files), dir)
	}
	return files[0], nil
}

// runNoting runs a command and notes now and then that it still runs.
func runNoting(cmd *exec.Cmd, log io.Writer) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	start, tick := time.Now(), time.NewTicker(stillFetching)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-tick.C:
			fmt.Fprintf(log, "... still fetching (%.0f s)\n", time.Since(start).Seconds())
		}
	}
}

// verify holds a file against a pinned digest in npm's notation.
func verify(file, integrity string) error {
	if integrity == "" {
		return nil
	}
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("cannot read the fetched package: %w", err)
	}
	defer f.Close()
	digest := sha512.New()
	if _, err := io.Copy(digest, f); err != nil {
		return fmt.Errorf("cannot read the fetched package: %w", err)
	}
	if got := "sha512-" + base64.StdEncoding.EncodeToString(digest.Sum(nil)); got != integrity {
		return fmt.Errorf("the fetched ClickHouse engine is not the pinned one (digest %s, want %s): npm's registry or cache hands out something else; try `npm cache verify`", got, integrity)
	}
	return nil
}

// extract copies one regular file of a packed npm package into dir.
func extract(packed, name, dir string) error {
	f, err := os.Open(packed)
	if err != nil {
		return fmt.Errorf("cannot read the fetched package: %w", err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("cannot unpack the fetched package: %w", err)
	}
	files := tar.NewReader(unzipped)
	for {
		header, err := files.Next()
		if err == io.EOF {
			return fmt.Errorf("the fetched package has no file %s", name)
		}
		if err != nil {
			return fmt.Errorf("cannot unpack the fetched package: %w", err)
		}
		if path.Clean(header.Name) == name && header.Typeflag == tar.TypeReg {
			return write(filepath.Join(dir, path.Base(name)), files)
		}
	}
}

func write(file string, from io.Reader) error {
	out, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return fmt.Errorf("cannot unpack the engine: %w", err)
	}
	if _, err := io.Copy(out, from); err != nil {
		out.Close()
		return fmt.Errorf("cannot unpack the engine (it needs 570 MB): %w", err)
	}
	return out.Close()
}
