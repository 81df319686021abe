package embedded

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// child is a ClickHouse in a process of its own, which does not outlive this one:
// on Linux the kernel sees to that, and everywhere its standard input ends.
type child struct {
	name  string
	cmd   *exec.Cmd
	stdin io.Closer
	log   string // file with what it says
	from  int64  // where in it this process began
	done  chan struct{}
	err   error // why it ended, once done
}

// spawn starts a program on the data folder dir. What it says to standard error,
// and to standard output where no one else is to read that, is added to
// clickhouse.log in there.
func spawn(dir string, stdout *io.ReadCloser, program string, args ...string) (*child, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the ledger's data folder: %w", err)
	}
	c := &child{name: filepath.Base(program), log: filepath.Join(dir, "clickhouse.log"), done: make(chan struct{})}
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot keep the log of %s: %w", c.name, err)
	}
	defer log.Close() // the process has its own copy
	if c.from, err = log.Seek(0, io.SeekEnd); err != nil {
		return nil, fmt.Errorf("cannot keep the log of %s: %w", c.name, err)
	}
	c.cmd = exec.Command(program, args...)
	c.cmd.Dir, c.cmd.Stdout, c.cmd.Stderr = dir, log, log
	c.cmd.SysProcAttr = attributes()
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if stdout != nil {
		c.cmd.Stdout = nil
		if *stdout, err = c.cmd.StdoutPipe(); err != nil {
			return nil, err
		}
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", program, err)
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// stopWait is how long a process may take to stop; the engine waits 20 s for
// requests under way.
const stopWait = 30 * time.Second

// stop asks the process to end, and kills it if it does not in time. That it has
// ended before is an error.
func (c *child) stop() error {
	select {
	case <-c.done:
		return c.ended()
	default:
	}
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // fails only if it has just ended
	_ = c.stdin.Close()
	select {
	case <-c.done:
		return nil
	case <-time.After(stopWait):
		_ = c.cmd.Process.Kill()
		<-c.done
		return fmt.Errorf("%s did not stop within %s and was killed%s", c.name, stopWait, c.lastWords())
	}
}

// ended is the error of a process that ended by itself.
func (c *child) ended() error {
	how := "status 0"
	if c.err != nil {
		how = c.err.Error()
	}
	return fmt.Errorf("%s has ended by itself (%s)%s", c.name, how, c.lastWords())
}

// lastWordsBytes is how much of a log an error quotes.
const lastWordsBytes = 2000

// lastWords are the end of what this process has said.
func (c *child) lastWords() string {
	text, err := os.ReadFile(c.log)
	if err != nil || int64(len(text)) < c.from {
		return ""
	}
	text = bytes.TrimSpace(text[c.from:])
	if over := len(text) - lastWordsBytes; over > 0 {
		text = text[over:]
	}
	if len(text) == 0 {
		return ""
	}
	return ": " + strings.ToValidUTF8(string(text), "")
}
