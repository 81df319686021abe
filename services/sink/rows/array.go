package rows

import "slices"

// array is a field with a list of values per row. All lists lie end to end in
// one slice; a row that is put again leaves its former values behind unused.
type array[R any, V any] struct {
	name  string
	add   func(dst []V, r R) []V
	flat  []V
	spans []span
	lists [][]V
}

type span struct{ from, to int }

// list makes a field that fills the array column name with what add appends.
func list[R any, V any](name string, add func(dst []V, r R) []V) field[R] {
	return &array[R, V]{name: name, add: add}
}

func (a *array[R, V]) title() string { return a.name }

func (a *array[R, V]) put(row int, r R) {
	from := len(a.flat)
	a.flat = a.add(a.flat, r)
	s := span{from, len(a.flat)}
	switch {
	case row < len(a.spans):
		a.spans[row] = s
	case s.from < s.to:
		a.pad(row)
		a.spans = append(a.spans, s)
	}
}

func (a *array[R, V]) pad(rows int) {
	n := len(a.spans)
	a.spans = slices.Grow(a.spans, max(rows-n, 0))[:max(rows, n)]
	clear(a.spans[n:])
}

func (a *array[R, V]) column(rows int) (Column, bool) {
	if len(a.spans) == 0 {
		return Column{}, false
	}
	a.pad(rows)
	a.lists = slices.Grow(a.lists[:0], rows)
	for _, s := range a.spans {
		a.lists = append(a.lists, a.flat[s.from:s.to:s.to])
	}
	return Column{Name: a.name, Values: a.lists}, true
}

func (a *array[R, V]) reset() {
	clear(a.flat)
	clear(a.lists)
	a.flat, a.spans, a.lists = a.flat[:0], a.spans[:0], a.lists[:0]
}
