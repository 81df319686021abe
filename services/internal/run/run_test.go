package run

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/flowledger/flowledger/services/internal/conf"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type testConfig struct {
	Process `yaml:",inline"`
	Hold    time.Duration `yaml:"hold" doc:"how long to wait for the other reports"`
}

func (c *testConfig) Validate() error {
	err := c.Process.Validate()
	if c.Hold < 0 {
		err = errors.Join(err, conf.Invalid("hold", "must not be negative", "set it to 10s, the default"))
	}
	return err
}

// process is one run of a test service, with what it wrote.
type process struct {
	*program
	out, err lockedBuffer
	signals  chan os.Signal
}

func newProcess(start func(context.Context, *Env) error, args ...string) *process {
	p := &process{signals: make(chan os.Signal, 2)}
	p.program = &program{
		Service: Service{
			Name: "thing", Short: "Does things", Long: "Does things with flows.",
			Config: &testConfig{Process: DefaultProcess("127.0.0.1:0"), Hold: 10 * time.Second},
			Start:  start,
		},
		args: args, stdout: &p.out, stderr: &p.err, signals: p.signals,
	}
	return p
}

type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestExitCodes(t *testing.T) {
	waits := func(ctx context.Context, _ *Env) error { <-ctx.Done(); return ctx.Err() }
	for _, tc := range []struct {
		name    string
		start   func(context.Context, *Env) error
		signals []os.Signal
		args    []string
		want    int
		said    string
	}{
		{name: "ends by itself", start: func(context.Context, *Env) error { return nil }, want: 0, said: `"stopped"`},
		{name: "fails", start: func(context.Context, *Env) error { return errors.New("no broker") }, want: 1, said: "no broker"},
		{name: "cancelled by nobody", start: func(context.Context, *Env) error { return context.Canceled }, want: 1, said: "context canceled"},
		{name: "stops on SIGTERM", start: waits, signals: []os.Signal{syscall.SIGTERM}, want: 0, said: `"signal":"terminated"`},
		{name: "fails while stopping", start: func(ctx context.Context, _ *Env) error { <-ctx.Done(); return errors.New("flush") }, signals: []os.Signal{syscall.SIGINT}, want: 1, said: "flush"},
		{name: "wrong flag", args: []string{"--hodl=1s"}, want: 2, said: "unknown flag: --hodl"},
		{name: "wrong command", args: []string{"start"}, want: 2, said: `unknown command`},
		{name: "wrong value", args: []string{"--hold=-1s"}, want: 2, said: "thing: hold: must not be negative; set it to 10s, the default"},
		{name: "wrong port", args: []string{"--http.addr=8080"}, want: 2, said: "http.addr: must be host:port"},
		{name: "no such file", args: []string{"--config=/nowhere.yaml"}, want: 2, said: "cannot read the configuration"},
		{name: "version", args: []string{"version"}, want: 0},
		{name: "explicit run", args: []string{"run", "--hold", "1s"}, start: func(context.Context, *Env) error { return nil }, want: 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newProcess(tc.start, tc.args...)
			for _, s := range tc.signals {
				p.signals <- s
			}
			if got := p.main(); got != tc.want {
				t.Errorf("exit code %d, want %d; %s", got, tc.want, p.err.String())
			}
			if !strings.Contains(p.err.String(), tc.said) {
				t.Errorf("log lacks %q:\n%s", tc.said, p.err.String())
			}
		})
	}
}

func TestSecondSignalLeavesAtOnce(t *testing.T) {
	stuck := make(chan struct{})
	defer close(stuck)
	p := newProcess(func(context.Context, *Env) error { <-stuck; return nil })
	p.signals <- syscall.SIGTERM
	p.signals <- syscall.SIGINT
	if got := p.main(); got != 130 {
		t.Errorf("exit code %d, want 130", got)
	}
}

func TestStuckServiceIsLeft(t *testing.T) {
	stuck := make(chan struct{})
	defer close(stuck)
	p := newProcess(func(context.Context, *Env) error { <-stuck; return nil }, "--shutdown_timeout=1ms")
	p.signals <- syscall.SIGTERM
	if got := p.main(); got != ExitFailure || !strings.Contains(p.err.String(), "did not stop in time") {
		t.Errorf("exit code %d, want 1; %s", got, p.err.String())
	}
}

func TestTakenPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := newProcess(nil, "--http.addr", l.Addr().String())
	if got := p.main(); got != ExitFailure || !strings.Contains(p.err.String(), "choose another http.addr") {
		t.Errorf("exit code %d, want 1; %s", got, p.err.String())
	}
}

func TestHealthAndMetrics(t *testing.T) {
	waiting := errors.New("waiting for partitions")
	var state error = waiting
	p := newProcess(func(ctx context.Context, env *Env) error {
		base := "http://" + env.HTTPAddr
		expect(t, base+"/healthz", 200, "ok\n")
		expect(t, base+"/readyz", 503, "starting\n")
		env.ReadyWhen(func() error { return state })
		expect(t, base+"/readyz", 503, "waiting for partitions\n")
		state = nil
		expect(t, base+"/readyz", 200, "ok\n")
		expect(t, base+"/metrics", 200, `flowledger_build_info{go_version="go`)
		expect(t, base+"/metrics", 200, "process_cpu_seconds_total")
		expect(t, base+"/debug/pprof/", 404, "")
		env.health.stop()
		expect(t, base+"/readyz", 503, "stopping\n")
		expect(t, base+"/healthz", 200, "ok\n")
		return nil
	})
	if got := p.main(); got != 0 {
		t.Errorf("exit code %d; %s", got, p.err.String())
	}
}

func TestProfilesWhenAsked(t *testing.T) {
	p := newProcess(func(_ context.Context, env *Env) error {
		expect(t, "http://"+env.HTTPAddr+"/debug/pprof/goroutine?debug=1", 200, "goroutine profile")
		return nil
	}, "--http.pprof")
	if got := p.main(); got != 0 {
		t.Errorf("exit code %d; %s", got, p.err.String())
	}
}

func TestNoHTTP(t *testing.T) {
	p := newProcess(func(_ context.Context, env *Env) error {
		if env.HTTPAddr != "" {
			t.Errorf("served at %s", env.HTTPAddr)
		}
		return nil
	}, "--http.addr=")
	if got := p.main(); got != 0 {
		t.Errorf("exit code %d; %s", got, p.err.String())
	}
}

func expect(t *testing.T, url string, code int, body string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(url)
	if err != nil {
		t.Error(err)
		return
	}
	defer r.Body.Close()
	got, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != code || !strings.Contains(string(got), body) {
		t.Errorf("%s: %d %q (%v), want %d …%q…", url, r.StatusCode, got, err, code, body)
	}
}

func TestLogsAreJSON(t *testing.T) {
	p := newProcess(func(_ context.Context, env *Env) error {
		env.Log.Debug("hidden")
		return nil
	})
	p.main()
	for line := range strings.Lines(p.err.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry["service"] != "thing" {
			t.Errorf("%q: %v", line, err)
		}
	}
	if strings.Contains(p.err.String(), "hidden") {
		t.Error("debug was logged at info")
	}
}

func TestConfigPrint(t *testing.T) {
	p := newProcess(nil, "config", "print", "--hold=30s")
	p.environ = []string{"FLOWLEDGER_LOG_LEVEL=debug"}
	if got := p.main(); got != 0 {
		t.Fatal(p.err.String())
	}
	for _, want := range []string{"hold: 30s\n", "level: DEBUG\n", "# how long to wait for the other reports\n"} {
		if !strings.Contains(p.out.String(), want) {
			t.Errorf("lacks %q:\n%s", want, p.out.String())
		}
	}
	p = newProcess(nil, "config", "print", "--default", "--hold=30s")
	if got := p.main(); got != 0 || !strings.Contains(p.out.String(), "hold: 10s\n") {
		t.Errorf("exit code %d; %s%s", got, p.err.String(), p.out.String())
	}
}

func TestConfigCheck(t *testing.T) {
	file := func(text string) string {
		name := filepath.Join(t.TempDir(), "thing.yaml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for _, tc := range []struct {
		name    string
		args    []string
		environ []string
		want    int
		said    string
	}{
		{"good", []string{file("hold: 5s\nlog:\n  level: warn\n")}, nil, 0, ""},
		{"misspelt", []string{file("hodl: 5s\n")}, nil, 2, ":1:1: hodl: unknown key; did you mean hold?"},
		{"against the rules", []string{file("hold: -5s\n")}, nil, 2, "hold: must not be negative"},
		{"environment is not asked", []string{file("")}, []string{"FLOWLEDGER_HODL=1"}, 0, ""},
		{"unknown variable", []string{"--environment"}, []string{"FLOWLEDGER_HODL=1"}, 2, "did you mean FLOWLEDGER_HOLD?"},
		{"good variables", []string{"--environment"}, []string{"FLOWLEDGER_HOLD=1s", "FLOWLEDGER_CONFIG=/x"}, 0, ""},
		{"bad variable", []string{"--environment"}, []string{"FLOWLEDGER_HOLD=1"}, 2, "hold (FLOWLEDGER_HOLD)"},
		{"nothing", nil, nil, 2, "name a file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newProcess(nil, append([]string{"config", "check"}, tc.args...)...)
			p.environ = tc.environ
			if got := p.main(); got != tc.want || !strings.Contains(p.err.String(), tc.said) {
				t.Errorf("exit code %d, want %d; %q lacks %q", got, tc.want, p.err.String(), tc.said)
			}
		})
	}
}

func TestFileFromVariable(t *testing.T) {
	name := filepath.Join(t.TempDir(), "thing.yaml")
	if err := os.WriteFile(name, []byte("hold: 7s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := newProcess(nil, "config", "print")
	p.environ = []string{"FLOWLEDGER_CONFIG=" + name}
	if got := p.main(); got != 0 || !strings.Contains(p.out.String(), "hold: 7s\n") {
		t.Errorf("exit code %d; %s%s", got, p.err.String(), p.out.String())
	}
}

func TestHelpTeaches(t *testing.T) {
	p := newProcess(nil, "--help")
	if got := p.main(); got != 0 {
		t.Fatal(p.err.String())
	}
	for _, want := range []string{"Does things with flows.", "FLOWLEDGER_KAFKA_BROKERS", "--hold duration", "how long to wait for the other reports (default 10s)", "config"} {
		if !strings.Contains(p.out.String(), want) {
			t.Errorf("help lacks %q:\n%s", want, p.out.String())
		}
	}
	t.Log(p.out.String())
}
