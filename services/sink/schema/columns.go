package schema

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Types are the ClickHouse types of the ledger's columns: [table][column].
type Types map[string]map[string]string

// Columns asks the ledger for the types of its columns.
func Columns(ctx context.Context, conn driver.Conn) (Types, error) {
	rows, err := conn.Query(ctx, "SELECT table, name, type FROM system.columns WHERE database = currentDatabase() AND default_kind NOT IN ('ALIAS', 'MATERIALIZED')")
	if err != nil {
		return nil, fmt.Errorf("cannot read the ledger's columns: %w", err)
	}
	defer rows.Close()
	types := Types{}
	for rows.Next() {
		var table, name, kind string
		if err := rows.Scan(&table, &name, &kind); err != nil {
			return nil, fmt.Errorf("cannot read the ledger's columns: %w", err)
		}
		if types[table] == nil {
			types[table] = map[string]string{}
		}
		types[table][name] = kind
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("cannot read the ledger's columns: %w", err)
	}
	return types, nil
}
