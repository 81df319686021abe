package conf

import (
	"errors"
	"fmt"
	"strings"
)

// KeyError is a value that breaks a rule.
type KeyError struct {
	// Key is the path of the key, Rule what holds for it, Fix what to do.
	Key, Rule, Fix string
}

func (e *KeyError) Error() string { return e.Key + ": " + e.Rule + "; " + e.Fix }

// Invalid makes a KeyError.
//
//	conf.Invalid("kafka.brokers", "at least one broker is needed", "set it to host:port")
func Invalid(key, rule, fix string, args ...any) error {
	return &KeyError{Key: key, Rule: rule, Fix: fmt.Sprintf(fix, args...)}
}

// Under puts a section's name before the keys that err names, so that a part of
// a configuration need not know where it is mounted. A nil error stays nil.
func Under(section string, err error) error {
	if err == nil {
		return nil
	}
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		errs := joined.Unwrap()
		under := make([]error, len(errs))
		for i, e := range errs {
			under[i] = Under(section, e)
		}
		return errors.Join(under...)
	}
	var key *KeyError
	if errors.As(err, &key) {
		return &KeyError{Key: section + "." + key.Key, Rule: key.Rule, Fix: key.Fix}
	}
	if strings.HasPrefix(err.Error(), section+".") {
		return err // the part knows its place already
	}
	return fmt.Errorf("%s.%w", section, err)
}
