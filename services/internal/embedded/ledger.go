package embedded

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/flowledger/flowledger/services/internal/embedded/chdb"
	"github.com/flowledger/flowledger/services/internal/embedded/front"
)

// Database is the ClickHouse database that holds the ledger.
const Database = "ledger"

// LedgerConfig says where the ledger's ClickHouse listens and stores. All of it
// may be left empty.
type LedgerConfig struct {
	// Addr is the HTTP address to listen on; "" is a free port of 127.0.0.1.
	Addr string
	// Dir is the data folder; "" is a temporary one, removed by Close.
	Dir string
	// CacheDir holds the fetched engine; "" is FLOWLEDGER_CACHE, or else
	// `flowledger` in the user's cache folder.
	CacheDir string
	// Log receives what is said about fetching and starting; nil is stderr.
	Log io.Writer
}

// Ledger is a running ClickHouse. See StartLedger.
type Ledger struct {
	kind string
	url  url.URL
	stop func() error
}

// StartLedger returns a ClickHouse that answers over HTTP: the server that
// CLICKHOUSE_ADDR names, else a `clickhouse server` if that binary is on PATH,
// else the engine embedded in this process (of which it can hold only one). It
// returns when the server answers and the database exists.
func StartLedger(ctx context.Context, cfg LedgerConfig) (*Ledger, error) {
	if cfg.Log == nil {
		cfg.Log = os.Stderr
	}
	l, err := startKind(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := l.createDatabase(ctx); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

func startKind(ctx context.Context, cfg LedgerConfig) (*Ledger, error) {
	if addr := os.Getenv("CLICKHOUSE_ADDR"); addr != "" {
		return useServer(addr)
	}
	remove := func() error { return nil }
	if cfg.Dir == "" {
		dir, err := os.MkdirTemp("", "flowledger-ledger-")
		if err != nil {
			return nil, fmt.Errorf("cannot make a folder for the ledger: %w", err)
		}
		cfg.Dir, remove = dir, func() error { return os.RemoveAll(dir) }
	}
	l, err := startOwn(ctx, cfg)
	if err != nil {
		_ = remove()
		return nil, err
	}
	stop := l.stop
	l.stop = func() error {
		if err := stop(); err != nil {
			return err
		}
		return remove()
	}
	return l, nil
}

func startOwn(ctx context.Context, cfg LedgerConfig) (*Ledger, error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, err
	}
	cfg.Dir = dir
	if binary, err := exec.LookPath("clickhouse"); err == nil {
		return startServer(ctx, cfg, binary)
	}
	return startEngine(ctx, cfg)
}

// closeWait is how long Close waits for requests under way.
const closeWait = 20 * time.Second

func startEngine(ctx context.Context, cfg LedgerConfig) (*Ledger, error) {
	library, err := cachedEngine(ctx, cfg)
	if err != nil {
		return nil, err
	}
	listen, err := net.Listen("tcp", first(cfg.Addr, "127.0.0.1:0"))
	if err != nil {
		return nil, fmt.Errorf("cannot listen for the ledger's HTTP clients: %w", err)
	}
	engine, err := chdb.Open(library, cfg.Dir)
	if err != nil {
		listen.Close()
		return nil, err
	}
	server := front.Serve(listen, engine)
	stop := func() error {
		ctx, cancel := context.WithTimeout(context.Background(), closeWait)
		defer cancel()
		if err := server.Close(ctx); err != nil {
			return fmt.Errorf("the ledger did not stop cleanly: %w", err)
		}
		engine.Close()
		return nil
	}
	return &Ledger{kind: "embedded engine " + engine.Version(), url: httpURL(listen.Addr().String()), stop: stop}, nil
}

// Kind says what answers: the embedded engine, a server started, or one found.
func (l *Ledger) Kind() string { return l.kind }

// HTTPAddr is the host:port of the HTTP interface.
func (l *Ledger) HTTPAddr() string { return l.url.Host }

// URL is the HTTP interface's address, for curl.
func (l *Ledger) URL() string { return l.url.String() }

// DSN is what clickhouse-go's ParseDSN takes, with the ledger's database.
func (l *Ledger) DSN() string {
	u := l.url
	u.Path = "/" + Database
	return u.String()
}

// Close stops what StartLedger started. What was stored in LedgerConfig.Dir
// stays.
func (l *Ledger) Close() error { return l.stop() }

func httpURL(addr string) url.URL { return url.URL{Scheme: "http", Host: addr, Path: "/"} }

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
