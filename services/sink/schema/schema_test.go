package schema_test

import (
	"context"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/reflect/protoreflect"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/embedded"
	"github.com/flowledger/flowledger/services/sink/schema"
)

var quiet = slog.New(slog.DiscardHandler)

// fresh is the address of a database that does not exist yet.
func fresh(t *testing.T) schema.Config {
	t.Helper()
	cfg := schema.Default()
	cfg.Addr = []string{embedded.TestLedger(t).HTTPAddr()}
	cfg.Database = "schema_" + strings.ToLower(t.Name())
	drop := func(ctx context.Context) {
		home := cfg
		home.Database = "default"
		conn, err := schema.Connect(ctx, home)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+cfg.Database); err != nil {
			t.Fatal(err)
		}
	}
	drop(t.Context())
	t.Cleanup(func() { drop(context.Background()) })
	return cfg
}

func TestMigrate(t *testing.T) {
	cfg := fresh(t)
	if err := schema.Require(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "flowctl migrate") {
		t.Errorf("without a database: error %v, want one that says what to do", err)
	}
	first, err := schema.Migrate(t.Context(), cfg, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if len(first) < 10 || first[0].Version != 1 {
		t.Errorf("applied %v, want all from version 1", first)
	}
	again, err := schema.Migrate(t.Context(), cfg, quiet)
	if err != nil || len(again) != 0 {
		t.Errorf("the second time: applied %v, error %v; want nothing", again, err)
	}
	if err := schema.Require(t.Context(), cfg); err != nil {
		t.Error(err)
	}
	all, err := schema.Status(t.Context(), cfg)
	if err != nil || len(all) != len(first) {
		t.Fatalf("status %v, %v; want %d migrations", all, err, len(first))
	}
	for _, m := range all {
		if m.Applied.IsZero() || !strings.HasSuffix(m.Name, ".sql") {
			t.Errorf("migration %+v is not applied", m)
		}
	}
}

// What broke off halfway, before the version was noted, runs again.
func TestMigrationsRunAgain(t *testing.T) {
	cfg := fresh(t)
	if _, err := schema.Migrate(t.Context(), cfg, quiet); err != nil {
		t.Fatal(err)
	}
	conn, err := schema.Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Exec(t.Context(), "TRUNCATE TABLE schema_version"); err != nil {
		t.Fatal(err)
	}
	if err := conn.Exec(t.Context(), "INSERT INTO schema_version (version_id, is_applied) VALUES (0, 1)"); err != nil {
		t.Fatal(err)
	}
	if err := schema.Require(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "lacks") {
		t.Errorf("error %v, want the count of what is missing", err)
	}
	applied, err := schema.Migrate(t.Context(), cfg, quiet)
	if err != nil || len(applied) < 10 {
		t.Errorf("applied %v, error %v; want all", applied, err)
	}
}

// DESCRIBE teaches: every table and every column says what it means.
func TestEverythingIsCommented(t *testing.T) {
	cfg := fresh(t)
	if _, err := schema.Migrate(t.Context(), cfg, quiet); err != nil {
		t.Fatal(err)
	}
	conn, err := schema.Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var mute []string
	err = conn.QueryRow(t.Context(), `SELECT groupArray(what) FROM (
		SELECT name AS what FROM system.tables WHERE database = currentDatabase() AND comment = '' AND name != 'schema_version'
		UNION ALL
		SELECT c.table || '.' || c.name AS what FROM system.columns AS c
		INNER JOIN system.tables AS t ON t.database = c.database AND t.name = c.table
		WHERE c.database = currentDatabase() AND c.comment = '' AND t.engine != 'View' AND c.table != 'schema_version' AND c.name NOT LIKE 'reporters.%')`).Scan(&mute)
	if err != nil {
		t.Fatal(err)
	}
	if len(mute) > 0 {
		t.Errorf("without a comment: %v", mute)
	}
}

// The enumerators of a column are those of the field it has its name from.
func TestEnumsAreTheWire(t *testing.T) {
	cfg := fresh(t)
	if _, err := schema.Migrate(t.Context(), cfg, quiet); err != nil {
		t.Fatal(err)
	}
	conn, err := schema.Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	types, err := schema.Columns(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	messages := map[string]protoreflect.ProtoMessage{
		"flows": &flowv1.Flow{}, "biflows": &flowv1.Biflow{}, "host_biflows": &flowv1.Biflow{}, "events": &flowv1.Event{}, "exporters": &flowv1.ExporterFact{},
	}
	checked := 0
	for table, m := range messages {
		for column, kind := range types[table] {
			fields := m.ProtoReflect().Descriptor().Fields()
			name, inner := strings.CutPrefix(column, "reporters.")
			if inner {
				fields = (&flowv1.Reporter{}).ProtoReflect().Descriptor().Fields()
			}
			f := fields.ByName(protoreflect.Name(name))
			if f == nil || f.Enum() == nil {
				continue
			}
			checked++
			if diff := cmp.Diff(wireEnum(f.Enum()), columnEnum(t, kind)); diff != "" {
				t.Errorf("%s.%s (-proto +column):\n%s", table, column, diff)
			}
		}
	}
	if checked < 20 {
		t.Errorf("only %d columns were compared", checked)
	}
}

// wireEnum is the enumerators' numbers by their names in the vocabulary.
func wireEnum(e protoreflect.EnumDescriptor) map[string]int {
	all := map[string]int{}
	prefix := strings.TrimSuffix(string(e.Values().Get(0).Name()), "UNSPECIFIED")
	for i := range e.Values().Len() {
		v := e.Values().Get(i)
		all[strings.ToLower(strings.TrimPrefix(string(v.Name()), prefix))] = int(v.Number())
	}
	return all
}

var enumerator = regexp.MustCompile(`'(\w+)' = (\d+)`)

func columnEnum(t *testing.T, kind string) map[string]int {
	t.Helper()
	all := map[string]int{}
	for _, m := range enumerator.FindAllStringSubmatch(kind, -1) {
		n, err := strconv.Atoi(m[2])
		if err != nil {
			t.Fatal(err)
		}
		all[m[1]] = n
	}
	return all
}

func TestConnectSaysWhatIsWrong(t *testing.T) {
	cfg := schema.Default()
	cfg.Addr = []string{"127.0.0.1:1"}
	if _, err := schema.Connect(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "clickhouse.addr") {
		t.Errorf("error %v, want one that names the key", err)
	}
	cfg.PasswordFile = "/nowhere"
	if _, err := schema.Connect(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "clickhouse.password_file") {
		t.Errorf("error %v, want one that names the key", err)
	}
}
