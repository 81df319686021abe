package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"
)

// rule is something that the code does for a reason, and how to break it.
type rule struct {
	// Rule is the rule in words.
	Rule string `yaml:"rule"`
	// File is relative to the services' module.
	File string `yaml:"file"`
	// Old stands in the file exactly once; New in its place breaks the rule.
	Old string `yaml:"old"`
	New string `yaml:"new"`
}

//go:embed mutants.yaml
var list []byte

// readRules reads the list.
func readRules() (rules []rule, err error) {
	d := yaml.NewDecoder(bytes.NewReader(list), yaml.Strict())
	if err := d.Decode(&rules); err != nil {
		return nil, fmt.Errorf("cannot read mutants.yaml: %w", err)
	}
	return rules, nil
}

// broken is the file's text with the rule taken out.
func (r *rule) broken(services string) (string, error) {
	text, err := os.ReadFile(filepath.Join(services, r.File))
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(text), r.Old); n != 1 {
		return "", fmt.Errorf("%s has this %d times, not once: %q; has the code moved? mend mutants.yaml", r.File, n, r.Old)
	}
	return strings.Replace(string(text), r.Old, r.New, 1), nil
}

// function is the name of the function that holds the rule.
func (r *rule) function(services string) (string, error) {
	path := filepath.Join(services, r.File)
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, text, 0)
	if err != nil {
		return "", err
	}
	at := set.File(file.Pos()).Pos(strings.Index(string(text), r.Old) + len(r.Old) - 1)
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Pos() <= at && at <= f.End() {
			return functionName(f), nil
		}
	}
	return "", fmt.Errorf("%s: %q is in no function", r.File, r.Old)
}

func functionName(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	receiver := f.Recv.List[0].Type
	if star, ok := receiver.(*ast.StarExpr); ok {
		receiver = star.X
	}
	if name, ok := receiver.(*ast.Ident); ok {
		return name.Name + "." + f.Name.Name
	}
	return f.Name.Name
}
