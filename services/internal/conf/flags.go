package conf

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/spf13/pflag"
)

// Flags remembers what the command line said until the file and the
// environment have been laid below it.
type Flags struct{ set map[string]string }

// AddFlags adds one flag per key of cfg to fs, with the key's doc as help and
// its present value as default. cfg itself is changed by Load only.
func AddFlags(fs *pflag.FlagSet, cfg any) *Flags {
	flags := &Flags{set: map[string]string{}}
	for _, f := range Fields(cfg) {
		if f.Section || f.FileOnly {
			continue
		}
		value := &flagValue{flags: flags, path: f.Path, of: f.value.Type(), text: listText(f.value)}
		flag := fs.VarPF(value, f.Path, "", f.Doc)
		if f.value.Kind() == reflect.Bool {
			flag.NoOptDefVal = "true"
		}
	}
	return flags
}

func (s *Flags) apply(cfg any) error {
	var errs []error
	for _, f := range Fields(cfg) {
		value, ok := s.set[f.Path]
		if !ok {
			continue
		}
		if err := setText(f.value, value); err != nil {
			errs = append(errs, fmt.Errorf("--%s: %w", f.Path, err))
		}
	}
	return errors.Join(errs...)
}

// flagValue is pflag's view of one key.
type flagValue struct {
	flags *Flags
	path  string
	of    reflect.Type
	text  string
}

// Set checks the text at once, so that the error comes with the flag's name.
func (v *flagValue) Set(text string) error {
	if err := setText(reflect.New(v.of).Elem(), text); err != nil {
		return err
	}
	v.text = text
	v.flags.set[v.path] = text
	return nil
}

func (v *flagValue) String() string { return v.text }

func (v *flagValue) Type() string {
	switch {
	case v.of.Kind() == reflect.Slice:
		return "list"
	case v.of.Kind() == reflect.Bool:
		return "bool"
	case hasOwnText(v.of) || v.of == durationType:
		return kindName(v.of)
	case v.of.Kind() == reflect.String:
		return "string"
	}
	return "number"
}
