package netset

import (
	"fmt"
	"net/netip"
	"slices"
)

// List is a list of networks in configuration. It reads itself: of every item that
// knows its own text, the YAML library writes out and reads again the whole file, so
// that it took time by the square of the list's length.
type List []Prefix

// MustParse reads networks that stand in the source.
func MustParse(words ...string) List {
	l, err := parseAll(words)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return l
}

// UnmarshalYAML reads a list of words.
func (l *List) UnmarshalYAML(read func(any) error) (err error) {
	var words []string
	if err := read(&words); err != nil {
		return fmt.Errorf("cannot read a list of networks: %w", err)
	}
	*l, err = parseAll(words)
	return err
}

func parseAll(words []string) (List, error) {
	list := make(List, len(words))
	for i, word := range words {
		p, err := Parse(word)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		list[i] = p
	}
	return list, nil
}

// Contains tells whether some network of the list holds the address. It looks at one
// after the other; a Set does not.
func (l List) Contains(a netip.Addr) bool {
	return slices.ContainsFunc(l, func(p Prefix) bool { return p.Prefix.Contains(a) })
}
