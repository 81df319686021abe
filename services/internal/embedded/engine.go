package embedded

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/flowledger/flowledger/services/internal/embedded/library"
)

// engineProgram is the program that holds the engine.
const engineProgram = "flowledger-engine"

// errNoEngine says what to do where there is no engine program.
var errNoEngine = errors.New("there is no ClickHouse to start: run `make build`, which puts " + engineProgram + " beside flowctl, or put a `clickhouse` binary on PATH, or set CLICKHOUSE_ADDR=host:port to a running server's HTTP port")

// findEngine returns the engine program: that of bin, else that beside this
// program, else that on PATH.
func findEngine(bin string) (string, error) {
	var folders []string
	if bin != "" {
		folders = append(folders, bin)
	}
	if self, err := os.Executable(); err == nil {
		folders = append(folders, filepath.Dir(self))
	}
	for _, folder := range folders {
		if path, err := exec.LookPath(filepath.Join(folder, engineProgram)); err == nil {
			return filepath.Abs(path)
		}
	}
	if path, err := exec.LookPath(engineProgram); err == nil {
		return filepath.Abs(path)
	}
	return "", errNoEngine
}

// startEngine starts the engine program on the data folder.
func startEngine(ctx context.Context, cfg LedgerConfig, temporary bool) (*Ledger, error) {
	program, err := findEngine(cfg.Bin)
	if err != nil {
		return nil, err
	}
	lib, err := library.Path(ctx, cfg.CacheDir, cfg.Log) // here, so that the user sees how it goes
	if err != nil {
		return nil, err
	}
	args := []string{"--attached", "--library", lib, "--dir", cfg.Dir, "--addr", first(cfg.Addr, "127.0.0.1:0")}
	if temporary {
		args = append(args, "--remove")
	}
	var stdout io.ReadCloser
	c, err := spawn(cfg.Dir, &stdout, program, args...)
	if err != nil {
		return nil, err
	}
	ready, err := c.awaitLine(ctx, stdout)
	if err != nil {
		return nil, err
	}
	return &Ledger{kind: "embedded engine " + ready.Version, url: httpURL(ready.HTTP), child: c}, nil
}

// readyLine is what the engine says when it answers.
type readyLine struct{ HTTP, Version string }

// awaitLine waits for the engine to be ready; if that fails, the engine has ended.
func (c *child) awaitLine(ctx context.Context, stdout io.Reader) (ready readyLine, err error) {
	said := make(chan error, 1)
	go func() { said <- json.NewDecoder(stdout).Decode(&ready) }()
	select {
	case err = <-said:
		if err == nil {
			return ready, nil
		}
		_ = c.stdin.Close() // it may have said something else, and live
		select {
		case <-c.done:
		case <-time.After(stopWait):
			_ = c.cmd.Process.Kill()
			<-c.done
		}
		return ready, fmt.Errorf("the embedded ClickHouse engine did not start: %w", c.ended())
	case <-ctx.Done():
		_ = c.stop()
		return ready, cmp.Or(ctx.Err(), <-said) // once said, ready is no longer written to
	}
}
