package conf

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// EnvPrefix opens the name of every variable.
const EnvPrefix = "FLOWLEDGER_"

// loadEnv sets the keys whose variables are there. Variables that name no key
// are left alone: services share an environment, and orchestrators add their own.
func loadEnv(cfg any, environ []string) error {
	set := map[string]string{}
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok && strings.HasPrefix(name, EnvPrefix) {
			set[name] = value
		}
	}
	if len(set) == 0 {
		return nil
	}
	var errs []error
	for _, f := range Fields(cfg) {
		value, ok := set[f.Env()]
		switch {
		case !ok || f.Section:
		case f.FileOnly:
			errs = append(errs, fmt.Errorf("%s: %s cannot be set by a variable; set it in the file", f.Env(), f.Path))
		default:
			if err := setText(f.value, value); err != nil {
				errs = append(errs, fmt.Errorf("%s (%s): %w", f.Path, f.Env(), err))
			}
		}
	}
	return errors.Join(errs...)
}

// CheckEnv refuses FLOWLEDGER_ variables that name no key of cfg; except says
// which others are known.
func CheckEnv(cfg any, environ []string, except ...string) error {
	var known []string
	for _, f := range Fields(cfg) {
		if !f.Section && !f.FileOnly {
			known = append(known, f.Env())
		}
	}
	var errs []error
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		switch {
		case !strings.HasPrefix(name, EnvPrefix), slices.Contains(known, name), slices.Contains(except, name):
		default:
			errs = append(errs, fmt.Errorf("%s: no key has this variable%s", name, hint(name, known)))
		}
	}
	return errors.Join(errs...)
}

func hint(name string, known []string) string {
	stems := make([]string, len(known))
	for i, k := range known {
		stems[i] = strings.TrimPrefix(k, EnvPrefix)
	}
	if near := closest(strings.TrimPrefix(name, EnvPrefix), stems); near != "" {
		return "; did you mean " + EnvPrefix + near + "?"
	}
	return ""
}
