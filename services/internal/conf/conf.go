// Package conf is the typed configuration of every service: a struct with
// defaults, over which a strict YAML file, the environment and the command line
// are laid, in this order.
//
//	Default() ─▶ file.yaml ─▶ FLOWLEDGER_KAFKA_BROKERS ─▶ --kafka.brokers ─▶ Validate()
//
// A configuration is a struct of structs. The yaml tag names a key, the doc tag
// says in one line what it is for; from the two come the file's keys, the
// variables' and flags' names, the help and the commented print.
//
//	type Config struct {
//		Brokers []string `yaml:"brokers" doc:"where to find Kafka: host:port, several for failover"`
//	}
//
// Leaves may be strings, booleans, numbers, time.Duration, whatever knows its
// own text (netip.Prefix, slog.Level, Bytes), and lists of these. Maps and lists
// of structs are for the file only.
package conf

import "errors"

// Sources says what is laid over the defaults.
type Sources struct {
	// File is the path of a YAML file; none if empty.
	File string
	// Env is the environment as os.Environ gives it; none if nil.
	Env []string
	// Flags holds what the command line said; none if nil.
	Flags *Flags
}

// Validator is a configuration that knows its own rules.
type Validator interface{ Validate() error }

// Load lays the sources over cfg, a pointer to a struct of defaults, and
// validates the outcome. The errors name the key, where it was set and what to do.
func Load(cfg Validator, s Sources) error {
	if s.File != "" {
		if err := LoadFile(cfg, s.File); err != nil {
			return err
		}
	}
	var errs []error
	errs = append(errs, loadEnv(cfg, s.Env))
	if s.Flags != nil {
		errs = append(errs, s.Flags.apply(cfg))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return cfg.Validate()
}
