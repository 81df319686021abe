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
func (l *List) UnmarshalYAML(read func(any) error) (err error) {
	*l, err = readWords(read, netip.ParsePrefix)
	return err
}

// Networks is a list of what Parse reads. It reads itself, as List does.
type Networks []Prefix

// UnmarshalYAML reads a list of words.
func (l *Networks) UnmarshalYAML(read func(any) error) (err error) {
	*l, err = readWords(read, Parse)
	return err
}

func readWords[P any](read func(any) error, parse func(string) (P, error)) ([]P, error) {
	var words []string
	if err := read(&words); err != nil {
		return nil, fmt.Errorf("cannot read a list of prefixes: %w", err)
	}
	list := make([]P, len(words))
	for i, word := range words {
		p, err := parse(word)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		list[i] = p
	}
	return list, nil
}

// Set is the set of the prefixes.
func (l List) Set() *Set {
	prefixes := make([]Prefix, len(l))
	for i, p := range l {
		prefixes[i] = Prefix{p}
	}
	return New(prefixes)
}
