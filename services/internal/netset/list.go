package netset

import (
	"fmt"
	"net/netip"
)

// List is a list of prefixes in configuration. It reads itself: of every item that
// knows its own text, the YAML library writes out and reads again the whole file, so
// that it took time by the square of the list's length.
type List []netip.Prefix

// UnmarshalYAML reads a list of words.
func (l *List) UnmarshalYAML(read func(any) error) error {
	var words []string
	if err := read(&words); err != nil {
		return fmt.Errorf("cannot read a list of prefixes: %w", err)
	}
	prefixes := make(List, len(words))
	for i, word := range words {
		if err := prefixes[i].UnmarshalText([]byte(word)); err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
	}
	*l = prefixes
	return nil
}

// Set is the set of the prefixes.
func (l List) Set() *Set {
	prefixes := make([]Prefix, len(l))
	for i, p := range l {
		prefixes[i] = Prefix{p}
	}
	return New(prefixes)
}
