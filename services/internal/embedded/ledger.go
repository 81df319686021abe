package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
)

// Database is the ClickHouse database that holds the ledger.
const Database = "ledger"

// LedgerConfig says where the ledger's ClickHouse listens and stores. All of it
// may be left empty.
type LedgerConfig struct {
	// Addr is the HTTP address to listen on; "" is a free port of 127.0.0.1.
	Addr string
	// Dir is the data folder, in which clickhouse.log is kept too; "" is a
	// temporary one, removed by Close.
	Dir string
	// Bin is a folder where flowledger-engine is looked for first; "" is that of
	// this program.
	Bin string
	// CacheDir holds the fetched engine; "" is FLOWLEDGER_CACHE, or else
	// `flowledger` in the user's cache folder.
	CacheDir string
	// Log receives what is said about fetching and starting; nil is stderr.
	Log io.Writer
}

// Ledger is a running ClickHouse. See StartLedger.
type Ledger struct {
	kind      string
	url       url.URL
	child     *child // nil for a server that somebody else runs
	temporary string // folder to remove at the end, if any
}

// StartLedger returns a ClickHouse that answers over HTTP: the server that
// CLICKHOUSE_ADDR names, else a `clickhouse server` if that binary is on PATH,
// else the engine of flowledger-engine, which is beside this program or on PATH.
// The latter two are processes that end with this one. It returns when the server
// answers and the database exists.
func StartLedger(ctx context.Context, cfg LedgerConfig) (*Ledger, error) {
	if cfg.Log == nil {
		cfg.Log = os.Stderr
	}
	l, err := startKind(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := l.createDatabase(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func startKind(ctx context.Context, cfg LedgerConfig) (*Ledger, error) {
	if addr := os.Getenv("CLICKHOUSE_ADDR"); addr != "" {
		return useServer(addr)
	}
	var temporary string
	if cfg.Dir == "" {
		var err error
		if temporary, err = os.MkdirTemp("", "flowledger-ledger-"); err != nil {
			return nil, fmt.Errorf("cannot make a folder for the ledger: %w", err)
		}
		cfg.Dir = temporary
	}
	l, err := startOwn(ctx, cfg, temporary != "")
	if err != nil {
		if temporary != "" {
			_ = os.RemoveAll(temporary) // the first error is worth more
		}
		return nil, err
	}
	l.temporary = temporary
	return l, nil
}

func startOwn(ctx context.Context, cfg LedgerConfig, temporary bool) (l *Ledger, err error) {
	if cfg.Dir, err = filepath.Abs(cfg.Dir); err != nil {
		return nil, err
	}
	if binary, err := exec.LookPath("clickhouse"); err == nil {
		return startServer(ctx, cfg, binary)
	}
	return startEngine(ctx, cfg, temporary)
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

// Ended is closed when a ClickHouse that StartLedger started has ended, whether
// by Close or by itself, and never for others.
func (l *Ledger) Ended() <-chan struct{} {
	if l.child == nil {
		return nil
	}
	return l.child.done
}

// Close stops what StartLedger started. That it had ended by itself is an error,
// with its last words. What was stored in LedgerConfig.Dir stays.
func (l *Ledger) Close() error {
	if l.child == nil {
		return nil
	}
	if err := l.child.stop(); err != nil {
		return fmt.Errorf("the ledger: %w", err)
	}
	if l.temporary != "" {
		return os.RemoveAll(l.temporary)
	}
	return nil
}

func httpURL(addr string) url.URL { return url.URL{Scheme: "http", Host: addr, Path: "/"} }

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
