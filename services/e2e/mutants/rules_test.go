package main

import "testing"

// TestRulesAreWhereTheListSays: every rule of the list can still be broken.
func TestRulesAreWhereTheListSays(t *testing.T) {
	rules, err := readRules()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i := range rules {
		r := &rules[i]
		if seen[r.Rule] {
			t.Errorf("rule %q is listed twice", r.Rule)
		}
		seen[r.Rule] = true
		if r.Old == r.New {
			t.Errorf("rule %q: nothing is broken", r.Rule)
		}
		if _, err := r.broken("../.."); err != nil {
			t.Errorf("rule %q: %v", r.Rule, err)
		} else if _, err := r.function("../.."); err != nil {
			t.Errorf("rule %q: %v", r.Rule, err)
		}
	}
	if len(rules) < 20 {
		t.Errorf("%d rules are listed; there were more", len(rules))
	}
}

func TestFailuresAreRead(t *testing.T) {
	names, broken := failures([]byte(`{"Action":"fail","Test":"TestA/sub"}
{"Action":"fail","Test":"TestA"}
{"Action":"pass","Test":"TestB"}
{"Action":"fail","Package":"p"}
`))
	if len(names) != 1 || names[0] != "TestA" || broken != "" {
		t.Errorf("got %q, %q; want TestA alone", names, broken)
	}
	if _, broken := failures([]byte(`{"Action":"build-output","Output":"# pkg\n"}
{"Action":"build-output","Output":"x.go:1: undefined: y\n"}
`)); broken != "x.go:1: undefined: y" {
		t.Errorf("a compile error reads %q", broken)
	}
}
