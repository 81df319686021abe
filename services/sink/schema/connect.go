package schema

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Connect opens the ledger and makes sure that ClickHouse answers. The database
// need not have been migrated.
func Connect(ctx context.Context, cfg Config) (driver.Conn, error) {
	options, err := cfg.options()
	if err != nil {
		return nil, err
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		return nil, fmt.Errorf("cannot open ClickHouse: %w", err)
	}
	if err := conn.Ping(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("cannot reach ClickHouse at %s by %s: %w; check clickhouse.addr and clickhouse.protocol (8123 is http, 9000 native)",
			strings.Join(cfg.Addr, ", "), cfg.Protocol, err)
	}
	return conn, nil
}

// OpenDB opens the ledger as a database/sql handle. Nothing is dialled yet.
func OpenDB(cfg Config) (*sql.DB, error) {
	options, err := cfg.options()
	if err != nil {
		return nil, err
	}
	return clickhouse.OpenDB(options), nil
}

func (c *Config) options() (*clickhouse.Options, error) {
	password, err := c.password()
	if err != nil {
		return nil, err
	}
	options := &clickhouse.Options{
		Protocol:     clickhouse.HTTP,
		Addr:         c.Addr,
		Auth:         clickhouse.Auth{Database: c.Database, Username: c.User, Password: password},
		DialTimeout:  c.DialTimeout,
		ReadTimeout:  c.ReadTimeout,
		MaxOpenConns: c.MaxConns,
		MaxIdleConns: c.MaxConns,
	}
	if c.Protocol == "native" {
		options.Protocol = clickhouse.Native
		options.Compression = &clickhouse.Compression{Method: clickhouse.CompressionLZ4}
	}
	return options, nil
}

func (c *Config) password() (string, error) {
	if c.PasswordFile == "" {
		return "", nil
	}
	b, err := os.ReadFile(c.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("cannot read clickhouse.password_file: %w", err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}
