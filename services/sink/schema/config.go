package schema

import (
	"errors"
	"net"
	"regexp"
	"time"

	"github.com/flowledger/flowledger/services/internal/conf"
)

// Config is the `clickhouse:` block: where the ledger is.
type Config struct {
	Addr         []string      `yaml:"addr" doc:"where to find ClickHouse: host:port, several for failover; 8123 speaks http, 9000 native"`
	Protocol     string        `yaml:"protocol" doc:"http or native (faster, port 9000)"`
	Database     string        `yaml:"database" doc:"the ledger's database"`
	User         string        `yaml:"user" doc:"who to log in as"`
	PasswordFile string        `yaml:"password_file" doc:"file that holds the password; empty for none"`
	DialTimeout  time.Duration `yaml:"dial_timeout" doc:"how long to wait for a connection"`
	ReadTimeout  time.Duration `yaml:"read_timeout" doc:"how long to wait for an answer, then ask again"`
	MaxConns     int           `yaml:"max_conns" doc:"connections at most; each partition writes over one at a time"`
}

// Default is a ClickHouse on this machine, as `flowctl dev` offers it.
func Default() Config {
	return Config{
		Addr:        []string{"127.0.0.1:8123"},
		Protocol:    "http",
		Database:    "ledger",
		User:        "default",
		DialTimeout: 5 * time.Second,
		ReadTimeout: 2 * time.Minute,
		MaxConns:    32,
	}
}

var databaseName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Validate names every key that breaks a rule, without the `clickhouse.` before it.
func (c *Config) Validate() error {
	var errs []error
	if len(c.Addr) == 0 {
		errs = append(errs, conf.Invalid("addr", "at least one address is needed", "set it to host:port, such as 127.0.0.1:8123"))
	}
	for _, a := range c.Addr {
		if _, port, err := net.SplitHostPort(a); err != nil || port == "" {
			errs = append(errs, conf.Invalid("addr", "an address is host:port", "write %q with its port, 8123 for http, 9000 for native", a))
		}
	}
	if c.Protocol != "http" && c.Protocol != "native" {
		errs = append(errs, conf.Invalid("protocol", "must be http or native", "not %q", c.Protocol))
	}
	if !databaseName.MatchString(c.Database) {
		errs = append(errs, conf.Invalid("database", "letters, digits and underscores, no digit first", "change %q; ledger is usual", c.Database))
	}
	if c.DialTimeout <= 0 {
		errs = append(errs, conf.Invalid("dial_timeout", "must be above zero", "set it to 5s, the default"))
	}
	if c.ReadTimeout <= 0 {
		errs = append(errs, conf.Invalid("read_timeout", "must be above zero", "set it to 2m, the default"))
	}
	if c.MaxConns < 1 {
		errs = append(errs, conf.Invalid("max_conns", "at least 1", "set it to the number of partitions this process may own, or 32"))
	}
	return errors.Join(errs...)
}
