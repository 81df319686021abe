package conf

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// Print writes cfg, a pointer to a struct, as YAML that Load reads back, with
// each key's doc above it.
func Print(w io.Writer, cfg any) error {
	var b strings.Builder
	for _, f := range Fields(cfg) {
		indent := strings.Repeat("  ", f.depth)
		if f.depth == 0 && b.Len() > 0 {
			b.WriteByte('\n')
		}
		if f.Doc != "" {
			fmt.Fprintf(&b, "%s# %s\n", indent, f.Doc)
		}
		if f.Section {
			fmt.Fprintf(&b, "%s%s:\n", indent, f.name())
			continue
		}
		if err := printLeaf(&b, &f, indent); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func printLeaf(b *strings.Builder, f *Field, indent string) error {
	if !f.FileOnly {
		fmt.Fprintf(b, "%s%s: %s\n", indent, f.name(), inlineYAML(f.value))
		return nil
	}
	if f.value.Len() == 0 {
		empty := "[]"
		if f.value.Kind() == reflect.Map {
			empty = "{}"
		}
		fmt.Fprintf(b, "%s%s: %s\n", indent, f.name(), empty)
		return nil
	}
	block, err := yaml.MarshalWithOptions(f.value.Interface(), yaml.CustomMarshaler(durationYAML))
	if err != nil {
		return fmt.Errorf("cannot print %s: %w", f.Path, err)
	}
	fmt.Fprintf(b, "%s%s:\n", indent, f.name())
	for line := range strings.Lines(string(block)) {
		fmt.Fprintf(b, "%s  %s", indent, line)
	}
	return nil
}

func durationYAML(d time.Duration) ([]byte, error) { return []byte(shortDuration(d)), nil }

// inlineYAML is a scalar or a list of scalars on one line.
func inlineYAML(v reflect.Value) string {
	if isScalar(v.Type()) {
		return scalarYAML(v)
	}
	items := make([]string, v.Len())
	for i := range items {
		items[i] = scalarYAML(v.Index(i))
	}
	return "[" + strings.Join(items, ", ") + "]"
}

// scalarYAML quotes strings only where YAML would read them as something else
// or a reader might: durations, sizes and numbers stay bare.
func scalarYAML(v reflect.Value) string {
	s := text(v)
	if v.Kind() == reflect.String || hasOwnText(v.Type()) && strings.ContainsAny(s, ":#,[]{}&*!|>'\"%@` ") || s == "" {
		return quote(s)
	}
	return s
}

// quote writes a YAML string on one line: bare if it is a plain word.
func quote(s string) string {
	plain := s != ""
	for _, r := range s {
		plain = plain && (r >= 'a' && r <= 'z' || r == '_' || r == '-' || r == '.' || r == '/')
	}
	switch {
	case !plain, s[0] == '-', s[0] == '.', s == "true", s == "false", s == "null", s == "yes", s == "no", s == "on", s == "off":
		return fmt.Sprintf("%q", s)
	}
	return s
}
