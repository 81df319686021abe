// Command flowctl is for people: it reads captures, runs the whole pipeline in
// one process, feeds a cluster, and looks into it. One file per command.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// Exit codes: a failure, a wrong command line, and an interrupt, as shells know it.
const (
	exitFailure   = 1
	exitUsage     = 2
	exitInterrupt = 130
)

func main() {
	// Without this, writing to a closed pipe kills the process before it can
	// tidy up; with it, the write fails and exitCode makes it a quiet end.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := newRoot().ExecuteContext(ctx)
	interrupted := ctx.Err() != nil
	stop()
	os.Exit(exitCode(os.Stderr, err, interrupted))
}

// usageError is a command line that cannot be meant.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// exitCode says what went wrong, and how the process ends.
func exitCode(stderr io.Writer, err error, interrupted bool) int {
	var usage usageError
	switch {
	case err == nil, errors.Is(err, syscall.EPIPE):
		return 0
	case interrupted && errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "flowctl: interrupted")
		return exitInterrupt
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintln(stderr, "flowctl:", strings.TrimRight(line, "\n"))
	}
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailure
}
