package conf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// LoadFile lays a YAML file over cfg, a pointer to a struct. Keys that cfg does
// not have are refused, with their place and the key that was probably meant.
func LoadFile(cfg any, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("cannot read the configuration: %w", err)
	}
	return LoadYAML(cfg, path, data)
}

// LoadYAML is LoadFile for bytes at hand; name is what errors call them.
func LoadYAML(cfg any, name string, data []byte) (err error) {
	// Some texts that are hardly YAML (an alias to an empty list, say) make the
	// library panic instead of saying so.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: cannot be read as YAML (the parser gave up: %v); look for anchors, aliases and tags without a value", name, p)
		}
	}()
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return yamlError(name, err)
	}
	if len(file.Docs) > 1 {
		return fmt.Errorf("%s: holds %d YAML documents; keep one", name, len(file.Docs))
	}
	for _, doc := range file.Docs {
		if isEmpty(doc.Body) {
			return nil // nothing is said, so the defaults hold; decoding would clear them
		}
		c := checker{file: name}
		c.check(doc.Body, reflect.TypeOf(cfg).Elem(), "")
		if len(c.errs) > 0 {
			return errors.Join(c.errs...)
		}
	}
	err = yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(cfg)
	if err != nil && !errors.Is(err, io.EOF) {
		return yamlError(name, err)
	}
	return nil
}

func isEmpty(n ast.Node) bool {
	switch n.(type) {
	case nil, *ast.NullNode, *ast.CommentGroupNode:
		return true
	}
	return false
}

func yamlError(name string, err error) error {
	var y yaml.Error
	if errors.As(err, &y) && y.GetToken() != nil {
		at := y.GetToken().Position
		return fmt.Errorf("%s:%d:%d: %s", name, at.Line, at.Column, y.GetMessage())
	}
	return fmt.Errorf("%s: %w", name, err)
}

// checker holds a file against the types before it is decoded, so that all that
// is wrong is said at once and in the words of the configuration.
type checker struct {
	file string
	errs []error
}

func (c *checker) check(n ast.Node, t reflect.Type, path string) {
	switch n := n.(type) {
	case nil, *ast.NullNode, *ast.AliasNode, *ast.CommentGroupNode:
	case *ast.AnchorNode:
		c.check(n.Value, t, path)
	case *ast.TagNode:
		c.check(n.Value, t, path)
	case *ast.MappingNode:
		c.checkMapping(n, n.Values, t, path)
	case *ast.MappingValueNode:
		c.checkMapping(n, []*ast.MappingValueNode{n}, t, path)
	case *ast.SequenceNode:
		if t.Kind() != reflect.Slice {
			c.fail(n, path, "a list, where %s is wanted", wanted(t))
			return
		}
		for i, item := range n.Values {
			c.check(item, t.Elem(), fmt.Sprintf("%s[%d]", path, i))
		}
	case ast.ScalarNode:
		c.checkScalar(n, t, path)
	}
}

func (c *checker) checkMapping(n ast.Node, values []*ast.MappingValueNode, t reflect.Type, path string) {
	switch {
	case isSection(t):
		c.checkSection(values, t, path)
	case t.Kind() == reflect.Map:
		for _, v := range values {
			c.check(v.Value, t.Elem(), join(path, keyText(v.Key)))
		}
	case t.Kind() != reflect.Interface:
		c.fail(n, path, "a mapping, where %s is wanted", wanted(t))
	}
}

func (c *checker) checkSection(values []*ast.MappingValueNode, t reflect.Type, path string) {
	keys, types := sectionKeys(t)
	for _, v := range values {
		if _, merge := v.Key.(*ast.MergeKeyNode); merge {
			continue
		}
		key := keyText(v.Key)
		if kt, ok := types[key]; ok {
			c.check(v.Value, kt, join(path, key))
			continue
		}
		if near := closest(key, keys); near != "" {
			c.fail(v.Key, join(path, key), "unknown key; did you mean %s?", near)
		} else {
			c.fail(v.Key, join(path, key), "unknown key; known here: %s", list(keys))
		}
	}
}

func (c *checker) checkScalar(n ast.ScalarNode, t reflect.Type, path string) {
	if t.Kind() == reflect.Interface {
		return
	}
	if !isScalar(t) {
		c.fail(n, path, "a single value, where %s is wanted", wanted(t))
		return
	}
	if err := setScalar(reflect.New(t).Elem(), scalarText(n)); err != nil {
		c.fail(n, path, "%w", err)
	}
}

func (c *checker) fail(n ast.Node, path, format string, args ...any) {
	at := n.GetToken().Position
	if path == "" {
		path = "the file"
	}
	args = append([]any{c.file, at.Line, at.Column, path}, args...)
	c.errs = append(c.errs, fmt.Errorf("%s:%d:%d: %s: "+format, args...))
}
