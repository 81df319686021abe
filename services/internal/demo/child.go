package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// child is a process that the demonstration started.
type child struct {
	name string
	log  string // file with all it says
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // why, once done
}

// spawn starts a binary; what it says goes to name.log in a folder.
func spawn(name, logs, binary string, args ...string) (*child, error) {
	c := &child{name: name, log: filepath.Join(logs, name+".log"), done: make(chan struct{})}
	out, err := os.Create(c.log)
	if err != nil {
		return nil, fmt.Errorf("cannot keep the log of %s: %w", name, err)
	}
	defer out.Close() // the process has its own copy
	c.cmd = exec.Command(binary, args...)
	c.cmd.Stdout, c.cmd.Stderr = out, out
	c.cmd.SysProcAttr = attributes()
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s (is it built? `make build`): %w", name, err)
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// ended is the error of a process that ended by itself, with its last words.
func (c *child) ended() error {
	how := "ended"
	if c.err != nil {
		how = c.err.Error()
	}
	return fmt.Errorf("%s: %s; its last words, from %s:\n%s", c.name, how, c.log, c.lastWords(8))
}

// lastWords are the last lines of its log.
func (c *child) lastWords(n int) string {
	text, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(string(bytes.TrimSpace(text)), "\n")
	return "  " + strings.Join(lines[max(0, len(lines)-n):], "\n  ")
}

// alive tells whether it still runs.
func (c *child) alive() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// stop asks the process to end, and makes it end when it does not in time.
func (c *child) stop(patience time.Duration) error {
	if !c.alive() {
		return nil
	}
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may just have ended
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-c.done:
		if c.err != nil {
			return fmt.Errorf("%s did not end cleanly: %w", c.name, c.ended())
		}
		return nil
	case <-timer.C:
		_ = c.cmd.Process.Kill()
		<-c.done
		return fmt.Errorf("%s did not end within %s and was killed; its last words, from %s:\n%s", c.name, patience, c.log, c.lastWords(8))
	}
}

// until asks again and again whether something is so, while the process lives.
func (c *child) until(ctx context.Context, patience time.Duration, what string, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err // not our own impatience
		}
		select {
		case <-c.done:
			return c.ended()
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("%s: %s not within %s (%w); its last words, from %s:\n%s", c.name, what, patience, last, c.log, c.lastWords(8))
			}
			return ctx.Err()
		case <-tick.C:
		}
	}
}
