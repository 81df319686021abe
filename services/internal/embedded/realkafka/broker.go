package realkafka

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/flowledger/flowledger/services/internal/embedded/port"
)

// Options say how to run the broker. All may be left empty.
type Options struct {
	// Dir keeps the data; "" is a temporary folder, removed by Stop.
	Dir string
	// CacheDir holds the jars; "" is FLOWLEDGER_CACHE, or else `flowledger` in
	// the user's cache folder.
	CacheDir string
	// Properties are laid over the node's configuration.
	Properties map[string]string
	// Log receives what is said about fetching; nil is stderr.
	Log io.Writer
}

// Broker is a running Kafka node.
type Broker struct {
	addr   string
	dir    string
	remove bool
	// args start it: the program comes first.
	args   []string
	cmd    *exec.Cmd
	output tail
	exited chan struct{}
	once   sync.Once
	// release gives the ports back.
	release []func()
}

// heap is the limit of the node's Java heap.
const heap = "-Xmx512m"

// Start starts a node and returns when it answers. Stop must be called.
func Start(ctx context.Context, o Options) (*Broker, error) {
	if o.Log == nil {
		o.Log = os.Stderr
	}
	java, err := findJava()
	if err != nil {
		return nil, err
	}
	folder, err := jars(ctx, java, o.CacheDir, o.Log)
	if err != nil {
		return nil, err
	}
	b := &Broker{dir: o.Dir}
	extra := map[string]string{}
	if b.dir == "" {
		if b.dir, err = os.MkdirTemp("", "flowledger-kafka-"); err != nil {
			return nil, fmt.Errorf("cannot make a folder for Kafka: %w", err)
		}
		b.remove = true
	} else { // for so long a node's registration stands in its successor's way
		extra["broker.session.timeout.ms"] = "2000"
	}
	maps.Copy(extra, o.Properties)
	if err := b.start(ctx, java, folder, extra); err != nil {
		b.Stop()
		return nil, err
	}
	return b, nil
}

func (b *Broker) start(ctx context.Context, java, folder string, extra map[string]string) error {
	// Kafka has to be told its ports, since they are in what it advertises, and takes
	// seconds until it listens.
	var addrs [2]string
	for i := range addrs {
		addr, release, err := port.Keep()
		if err != nil {
			return err
		}
		addrs[i], b.release = addr, append(b.release, release)
	}
	b.addr = addrs[0]
	file := filepath.Join(b.dir, "server.properties")
	data := filepath.Join(b.dir, "data")
	if _, err := os.Stat(data); err != nil {
		if err := os.CopyFS(data, os.DirFS(filepath.Join(folder, formatted))); err != nil {
			return fmt.Errorf("cannot prepare Kafka's storage: %w", err)
		}
	}
	if err := os.WriteFile(file, properties(addrs[0], addrs[1], data, extra), 0o644); err != nil {
		return fmt.Errorf("cannot write Kafka's configuration: %w", err)
	}
	b.args = append(append([]string{java}, jvm(folder)...), "kafka.Kafka", file)
	return b.launch(ctx)
}

func (b *Broker) launch(ctx context.Context) error {
	cmd := exec.Command(b.args[0], b.args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = b.dir, &b.output, &b.output
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start Kafka: %w", err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	b.cmd, b.exited = cmd, exited
	return b.await(ctx)
}

// Crash ends the node with SIGKILL and starts it again, with the data and at the
// address that it had. It returns when the node answers: its controller first
// gives up what it takes for another node of the same number.
func (b *Broker) Crash(ctx context.Context) error {
	_ = b.cmd.Process.Kill() // fails only if it has ended
	<-b.exited
	return b.launch(ctx)
}

// jvm are the options of Kafka's programs: the jars, little heap, quick start.
func jvm(folder string) []string {
	return []string{
		heap, "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Dlog4j2.level=WARN", "-Djava.awt.headless=true", "-cp", filepath.Join(folder, "*"),
	}
}

// readyPoll is how often a starting node is asked for its metadata.
const readyPoll = 50 * time.Millisecond

// await returns when the node answers a metadata request with itself in it.
func (b *Broker) await(ctx context.Context) error {
	transport := &kafka.Transport{} // the common one may remember the node that was here before
	defer transport.CloseIdleConnections()
	client := kafka.Client{Addr: kafka.TCP(b.addr), Timeout: 2 * time.Second, Transport: transport}
	for {
		metadata, err := client.Metadata(ctx, &kafka.MetadataRequest{})
		if err == nil && len(metadata.Brokers) > 0 {
			return nil
		}
		select {
		case <-b.exited:
			return fmt.Errorf("Kafka has stopped while starting:\n%s", b.output.String())
		case <-ctx.Done():
			return fmt.Errorf("Kafka did not answer at %s: %w:\n%s", b.addr, ctx.Err(), b.output.String())
		case <-time.After(readyPoll):
		}
	}
}

// Addr is the host:port for clients.
func (b *Broker) Addr() string { return b.addr }

// PID is the node's process id, to measure or to kill it.
func (b *Broker) PID() int { return b.cmd.Process.Pid }

// Output is the last that the node has said, for a failing test.
func (b *Broker) Output() string { return b.output.String() }

// stopWait is how long a clean stop may take.
const stopWait = 15 * time.Second

// Stop ends the node. Data in Options.Dir stays and is whole; a temporary folder
// is removed, so that there is nothing to wait for. It may be called again.
func (b *Broker) Stop() {
	b.once.Do(func() {
		if b.cmd != nil {
			signal := syscall.SIGTERM
			if b.remove {
				signal = syscall.SIGKILL
			}
			_ = b.cmd.Process.Signal(signal) // fails only if it has ended
			select {
			case <-b.exited:
			case <-time.After(stopWait):
				_ = b.cmd.Process.Kill()
				<-b.exited
			}
		}
		for _, release := range b.release {
			release()
		}
		if b.remove {
			_ = os.RemoveAll(b.dir)
		}
	})
}

// tail keeps the end of a program's output.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// tailBytes is how much of the output is kept.
const tailBytes = 16 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - tailBytes; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}
