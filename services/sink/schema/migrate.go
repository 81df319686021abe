// Package schema is the ledger's tables and views, one .sql file each, and the
// versioned migrations that make them. What a table and a column mean is said
// in the files, as comments that ClickHouse keeps: ask DESCRIBE.
//
// A migration is never changed once it was released; a change is another file.
// Each must be able to run again after it broke off halfway.
package schema

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var embedded embed.FS

// versions is the table in which the ledger keeps what was applied.
const versions = "schema_version"

// Migration is one step of the schema.
type Migration struct {
	Version int64
	// Name is the file's.
	Name string
	// Applied is when; zero if it is still to come.
	Applied time.Time
}

// Migrate makes the database if it is not there and applies what is missing. It
// returns what it applied; nothing if the schema was up to date.
func Migrate(ctx context.Context, cfg Config, log *slog.Logger) ([]Migration, error) {
	if err := createDatabase(ctx, cfg); err != nil {
		return nil, err
	}
	p, closeDB, err := provider(cfg)
	if err != nil {
		return nil, err
	}
	defer closeDB()
	results, err := p.Up(ctx)
	var applied []Migration
	for _, r := range results {
		applied = append(applied, Migration{Version: r.Source.Version, Name: r.Source.Path})
		log.Info("migrated", "version", r.Source.Version, "file", r.Source.Path, "duration", r.Duration.String())
	}
	if err != nil {
		return applied, fmt.Errorf("cannot migrate the ledger: %w; it may be run again", err)
	}
	return applied, nil
}

// Status lists all migrations this program knows, and whether they are applied.
func Status(ctx context.Context, cfg Config) ([]Migration, error) {
	p, closeDB, err := provider(cfg)
	if err != nil {
		return nil, err
	}
	defer closeDB()
	states, err := p.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot read which migrations are applied: %w", err)
	}
	all := make([]Migration, 0, len(states))
	for _, s := range states {
		all = append(all, Migration{Version: s.Source.Version, Name: s.Source.Path, Applied: s.AppliedAt})
	}
	return all, nil
}

// Require fails unless every migration this program knows is applied.
func Require(ctx context.Context, cfg Config) error {
	all, err := Status(ctx, cfg)
	if err != nil {
		return fmt.Errorf("%w; has the ledger been made? run: flowctl migrate", err)
	}
	missing := 0
	for _, m := range all {
		if m.Applied.IsZero() {
			missing++
		}
	}
	if missing > 0 {
		return fmt.Errorf("the ledger %s lacks %d of %d migrations; run: flowctl migrate", cfg.Database, missing, len(all))
	}
	return nil
}

func createDatabase(ctx context.Context, cfg Config) error {
	home := cfg
	home.Database = "default"
	db, err := OpenDB(home)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "CREATE DATABASE IF NOT EXISTS "+cfg.Database); err != nil {
		return fmt.Errorf("cannot create database %s: %w", cfg.Database, err)
	}
	return nil
}

func provider(cfg Config) (*goose.Provider, func(), error) {
	files, err := fs.Sub(embedded, "migrations")
	if err != nil {
		return nil, nil, fmt.Errorf("BUG: cannot open the migrations: %w", err)
	}
	db, err := OpenDB(cfg)
	if err != nil {
		return nil, nil, err
	}
	p, err := newProvider(db, files)
	if err != nil {
		_ = db.Close()
		return nil, nil, fmt.Errorf("cannot read the migrations: %w", err)
	}
	return p, func() { _ = db.Close() }, nil
}

func newProvider(db *sql.DB, files fs.FS) (*goose.Provider, error) {
	return goose.NewProvider(goose.DialectClickHouse, db, files, goose.WithTableName(versions))
}
