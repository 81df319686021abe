package conf

import (
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// sectionKeys lists the keys of a struct type and their types.
func sectionKeys(t reflect.Type) (keys []string, types map[string]reflect.Type) {
	types = map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		key, inline := keyOf(f)
		switch {
		case inline:
			innerKeys, inner := sectionKeys(f.Type)
			for _, k := range innerKeys {
				keys, types[k] = append(keys, k), inner[k]
			}
		case key != "":
			keys, types[key] = append(keys, key), f.Type
		}
	}
	return keys, types
}

// wanted is what a type looks like in a file.
func wanted(t reflect.Type) string {
	switch {
	case isSection(t), t.Kind() == reflect.Map:
		return "a mapping (key: value)"
	case t.Kind() == reflect.Slice:
		return "a list ([a, b])"
	}
	return "a single value (" + kindName(t) + ")"
}

func keyText(n ast.MapKeyNode) string { return n.GetToken().Value }

// scalarText is what was written, without quotes.
func scalarText(n ast.ScalarNode) string {
	if l, ok := n.(*ast.LiteralNode); ok {
		return l.Value.Value
	}
	return n.GetToken().Value
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func list(words []string) string { return strings.Join(words, ", ") }
