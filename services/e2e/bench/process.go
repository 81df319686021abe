package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
	p.cmd.Env = withoutSettings(os.Environ())
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return p
}

// withoutSettings leaves out what would configure our programs otherwise than
// the measurement does.
func withoutSettings(environ []string) []string {
	var out []string
	for _, entry := range environ {
		if !strings.HasPrefix(entry, "FLOWLEDGER_") || strings.HasPrefix(entry, "FLOWLEDGER_CACHE=") {
			out = append(out, entry)
		}
	}
	return out
}

// start starts it; from then on it is watched until it ends.
func (p *process) start() error {
	out, err := os.Create(p.log)
	if err != nil {
		return fmt.Errorf("cannot keep the log of %s: %w", p.name, err)
	}
	defer out.Close() // the process has its own copy
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("cannot start %s (is it built? make build): %w", p.name, err)
	}
	p.done = make(chan struct{})
	go p.watch(peakRSS(os.Getpid()))
	return nil
}

// watch waits for the end and takes the bill. The kernel's own figure of the peak
// memory begins with that of whoever started the process, since until exec they
// share their memory: up to that much it says nothing, and what was seen on the
// way counts.
func (p *process) watch(inherited int64) {
	ended := make(chan error, 1)
	go func() { ended <- p.cmd.Wait() }()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var seen int64
	for {
		select {
		case <-tick.C:
			seen = max(seen, peakRSS(p.cmd.Process.Pid))
		case p.err = <-ended:
			state := p.cmd.ProcessState
			p.cost = cost{user: state.UserTime(), system: state.SystemTime(), rss: seen}
			if u, ok := state.SysUsage().(*syscall.Rusage); ok && u.Maxrss<<10 > inherited {
				p.cost.rss = max(seen, u.Maxrss<<10)
			}
			close(p.done)
			return
		}
	}
}

// wait waits until it ends by itself.
func (p *process) wait(ctx context.Context) error {
	select {
	case <-p.done:
	case <-ctx.Done():
		p.kill()
		return ctx.Err()
	}
	return p.ended()
}

// ended is nil where it ended well, else says how it ended, with its last words.
func (p *process) ended() error {
	if p.err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w; its last words:\n%s", p.name, p.err, p.lastWords(8))
}

func (p *process) lastWords(n int) string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(string(bytes.TrimSpace(text)), "\n")
	return "  " + strings.Join(lines[max(0, len(lines)-n):], "\n  ")
}

// stopPatience is how long a clean stop may take: a large state is stored first.
const stopPatience = 60 * time.Second

// stop asks it to end, and waits until it has.
func (p *process) stop() error {
	p.ask()
	return p.stopped()
}

// ask asks it to end.
func (p *process) ask() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
}

// stopped waits for the end that it was asked for.
func (p *process) stopped() error {
	select {
	case <-p.done:
		return p.ended()
	case <-time.After(stopPatience):
		p.kill()
		return fmt.Errorf("%s did not end within %s and was killed; its last words:\n%s", p.name, stopPatience, p.lastWords(8))
	}
}

// kill ends it at once. It may have ended already.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// until asks again and again whether something is so, while the process lives.
func (p *process) until(ctx context.Context, patience time.Duration, what string, ready func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not within %s", patience))
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		ok, err := ready(ctx)
		if ok {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended before %s; its last words:\n%s", p.name, what, p.lastWords(8))
		case <-ctx.Done():
			err := context.Cause(ctx)
			if last != nil {
				err = fmt.Errorf("%w (%w)", err, last)
			}
			return fmt.Errorf("%s: waiting until %s: %w; its last words:\n%s", p.name, what, err, p.lastWords(8))
		case <-tick.C:
		}
	}
}

// finish runs a process to its end.
func (b *bench) finish(ctx context.Context, p *process) (cost, error) {
	if err := p.start(); err != nil {
		return cost{}, err
	}
	err := p.wait(ctx)
	return p.cost, err
}
