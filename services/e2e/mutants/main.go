// Command mutants breaks the rules of dedup and stitch one at a time and says
// which tests notice: a rule that can be taken out while every test stays green is
// a rule that nobody guards.
//
//	mutants.yaml ─▶ one line of code changed, through the compiler's overlay ─▶ go test ─▶ names of the tests that fail
//
// No file of the project is touched but docs/explain/preparation.md, which gets the
// table. Exit status 1 tells that a rule went unnoticed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	r := runner{}
	flag.StringVar(&r.services, "services", ".", "folder of the services' module")
	flag.IntVar(&r.cases, "cases", 3000, "random paths for each invariant")
	only := flag.String("only", "", "break only rules whose text contains this")
	document := flag.String("document", "", "write the table into this file, between <!-- mutants --> and <!-- end -->")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := r.main(ctx, *only, *document); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// main breaks every rule that was asked for.
func (r *runner) main(ctx context.Context, only, document string) error {
	rules, err := readRules()
	if err != nil {
		return err
	}
	rows := []row{}
	var unnoticed []string
	for i := range rules {
		rule := &rules[i]
		if !strings.Contains(rule.Rule, only) {
			continue
		}
		failed, err := r.breakRule(ctx, rule)
		if err != nil {
			return fmt.Errorf("rule %q: %w", rule.Rule, err)
		}
		fmt.Printf("%d/%d %s: %s\n", i+1, len(rules), rule.Rule, strings.Join(failed, ", "))
		if len(failed) == 0 {
			unnoticed = append(unnoticed, rule.Rule)
		}
		rows = append(rows, row{rule: rule, failed: failed})
	}
	if document != "" && only == "" {
		if err := writeTable(document, rows); err != nil {
			return err
		}
	}
	if len(unnoticed) > 0 {
		return errors.New("no test notices when these are broken: " + strings.Join(unnoticed, "; "))
	}
	return nil
}
