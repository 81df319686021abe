package conf

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Field is one key of a configuration.
type Field struct {
	// Path is the key from the root, dotted: kafka.brokers.
	Path string
	// Doc is the one line of the doc tag.
	Doc string
	// Section tells that the value is a struct with keys of its own.
	Section bool
	// FileOnly tells that neither a variable nor a flag can carry the value.
	FileOnly bool

	value reflect.Value
	depth int
}

// Env is the variable that sets the key.
func (f *Field) Env() string {
	return EnvPrefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(f.Path))
}

func (f *Field) name() string { return f.Path[strings.LastIndexByte(f.Path, '.')+1:] }

// Fields lists the keys of cfg, a pointer to a struct, in the order of the
// struct: every section before its keys.
func Fields(cfg any) []Field {
	v := reflect.ValueOf(cfg)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("BUG: a configuration is a pointer to a struct, not %T", cfg))
	}
	return appendFields(nil, v.Elem(), "", 0)
}

func appendFields(fields []Field, v reflect.Value, prefix string, depth int) []Field {
	t := v.Type()
	for i := range t.NumField() {
		key, inline := keyOf(t.Field(i))
		if key == "" && !inline {
			continue
		}
		if inline {
			fields = appendFields(fields, v.Field(i), prefix, depth)
			continue
		}
		f := Field{Path: prefix + key, Doc: t.Field(i).Tag.Get("doc"), value: v.Field(i), depth: depth}
		f.Section = isSection(f.value.Type())
		f.FileOnly = !f.Section && !isText(f.value.Type())
		fields = append(fields, f)
		if f.Section {
			fields = appendFields(fields, f.value, f.Path+".", depth+1)
		}
	}
	return fields
}

// keyOf is the YAML key of a struct field, empty if it has none.
func keyOf(f reflect.StructField) (key string, inline bool) {
	if !f.IsExported() {
		return "", false
	}
	tag, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	switch {
	case tag == "-":
		return "", false
	case strings.Contains(options, "inline"):
		return "", true
	case tag == "":
		return strings.ToLower(f.Name), false
	}
	return tag, false
}

var (
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
	durationType = reflect.TypeFor[time.Duration]()
)

func hasOwnText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textType) }

// isSection tells whether a type is a struct with keys, not one with a text form.
func isSection(t reflect.Type) bool { return t.Kind() == reflect.Struct && !hasOwnText(t) }

// isScalar tells whether one word carries a value of the type.
func isScalar(t reflect.Type) bool {
	if hasOwnText(t) {
		return true
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	}
	return false
}

// isText tells whether a variable or flag can carry a value of the type.
func isText(t reflect.Type) bool {
	return isScalar(t) || t.Kind() == reflect.Slice && isScalar(t.Elem())
}
