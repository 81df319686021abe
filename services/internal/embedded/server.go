package embedded

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/flowledger/flowledger/services/internal/embedded/port"
)

// useServer takes a running server: "host:port" of its HTTP interface, or a
// whole URL where it needs a user and password.
func useServer(addr string) (*Ledger, error) {
	if !strings.Contains(addr, "://") {
		addr = "http://" + addr
	}
	u, err := url.Parse(addr)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("CLICKHOUSE_ADDR=%q is neither host:port nor http://user:password@host:port (the HTTP port, 8123 by default)", addr)
	}
	u.Path = "/"
	return &Ledger{kind: "server of CLICKHOUSE_ADDR", url: *u}, nil
}

// serverConfig is the least configuration that makes `clickhouse server` serve
// HTTP on loopback from one folder.
var serverConfig = template.Must(template.New("config.xml").Parse(`<clickhouse>
    <logger><level>warning</level><console>1</console></logger>
    <listen_host>{{.Host}}</listen_host>
    <http_port>{{.Port}}</http_port>
    <path>{{.Dir}}/</path>
    <tmp_path>{{.Dir}}/tmp/</tmp_path>
    <user_files_path>{{.Dir}}/user_files/</user_files_path>
    <timezone>UTC</timezone>
    <mark_cache_size>67108864</mark_cache_size>
    <users><default>
        <password></password>
        <networks><ip>127.0.0.1</ip><ip>::1</ip></networks>
        <profile>default</profile><quota>default</quota>
        <access_management>1</access_management>
    </default></users>
    <profiles><default/></profiles>
    <quotas><default/></quotas>
</clickhouse>
`))

// startServer runs `clickhouse server` on the data folder.
func startServer(ctx context.Context, cfg LedgerConfig, binary string) (*Ledger, error) {
	addr, release, err := serverAddr(cfg.Addr)
	if err != nil {
		return nil, err
	}
	defer release()
	file, err := writeServerConfig(cfg.Dir, addr)
	if err != nil {
		return nil, err
	}
	c, err := spawn(cfg.Dir, nil, binary, "server", "--config-file="+file)
	if err != nil {
		return nil, err
	}
	l := &Ledger{kind: binary + " server", url: httpURL(addr), child: c}
	if err := l.await(ctx); err != nil {
		if ctx.Err() != nil {
			_ = c.stop()
		}
		return nil, fmt.Errorf("%s server does not answer: %w", binary, err)
	}
	return l, nil
}

// serverAddr settles the address before the server starts, for a server cannot
// be asked which port it chose. A free one is kept for it until release.
func serverAddr(addr string) (settled string, release func(), err error) {
	const any = "127.0.0.1:0"
	if first(addr, any) == any {
		return port.Keep()
	}
	listen, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, fmt.Errorf("cannot listen for the ledger's HTTP clients: %w", err)
	}
	defer listen.Close()
	return listen.Addr().String(), func() {}, nil
}

func writeServerConfig(dir, addr string) (string, error) {
	host, number, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("cannot make the ledger's data folder: %w", err)
	}
	var xml bytes.Buffer
	if err := serverConfig.Execute(&xml, map[string]string{"Host": host, "Port": number, "Dir": dir}); err != nil {
		return "", err
	}
	file := filepath.Join(dir, "config.xml")
	if err := os.WriteFile(file, xml.Bytes(), 0o644); err != nil {
		return "", fmt.Errorf("cannot write the server's configuration: %w", err)
	}
	return file, nil
}

// readyPoll is how often a starting server is asked whether it answers.
const readyPoll = 50 * time.Millisecond

// await returns when the server answers a ping, or its process has ended.
func (l *Ledger) await(ctx context.Context) error {
	for {
		if l.ping(ctx) == nil {
			return nil
		}
		select {
		case <-l.child.done:
			return l.child.ended()
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(readyPoll):
		}
	}
}

func (l *Ledger) ping(ctx context.Context) error {
	u := l.url
	u.Path = "/ping"
	return l.do(ctx, http.MethodGet, u.String(), "")
}

func (l *Ledger) createDatabase(ctx context.Context) error {
	if err := l.do(ctx, http.MethodPost, l.URL(), "CREATE DATABASE IF NOT EXISTS "+Database); err != nil {
		return fmt.Errorf("cannot create the database %s (%s at %s): %w", Database, l.kind, l.HTTPAddr(), err)
	}
	return nil
}

func (l *Ledger) do(ctx context.Context, method, address, body string) error {
	request, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, strings.TrimSpace(string(answer)))
	}
	return err
}
