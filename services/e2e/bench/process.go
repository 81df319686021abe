package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a program that is measured from its start to its end.
type process struct {
	name, log string
	cmd       *exec.Cmd
	done      chan struct{} // closed when it has ended
	err       error         // why, once done
	cost      cost          // once done
}

// command prepares one of our own programs.
func (b *bench) command(name, binary string, args ...string) *process {
	return b.foreign(name, filepath.Join(b.bin, binary), args...)
}

// foreign prepares any program; what it says goes to name.log.
func (b *bench) foreign(name, path string, args ...string) *process {
	p := &process{name: name, log: filepath.Join(b.dir, name+".log"), cmd: exec.Command(path, args...)}
	p.cmd.Dir = b.dir
	// Settings meant for another cluster must not reach these processes.
	p.cmd.Env = withoutSettings(os.Environ())
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return p
}

func withoutSettings(environ []string) []string {
	var out []string
	for _, entry := range environ {
		if !strings.HasPrefix(entry, "FLOWLEDGER_") || strings.HasPrefix(entry, "FLOWLEDGER_CACHE=") {
			out = append(out, entry)
		}
	}
	return out
}

// start starts it, and watches it until it ends.
func (p *process) start() error {
	out, err := os.Create(p.log)
	if err != nil {
		return fmt.Errorf("cannot keep the log of %s: %w", p.name, err)
	}
	defer out.Close() // the process has its own copy
	p.cmd.Stdout, p.cmd.Stderr = out, out
	inherited := peakRSS(os.Getpid())
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("cannot start %s (is it built? make build): %w", p.name, err)
	}
	p.done = make(chan struct{})
	seen := make(chan int64, 1)
	go func() { seen <- p.watch() }()
	go func() {
		p.err = p.cmd.Wait()
		state := p.cmd.ProcessState
		p.cost = cost{user: state.UserTime(), system: state.SystemTime()}
		close(p.done)
		p.cost.rss = <-seen
	}()
	_ = inherited
	return nil
}
