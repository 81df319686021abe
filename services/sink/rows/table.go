package rows

// table collects rows for one table of the ledger.
type table[R any] struct {
	name   string
	fields []field[R]
	rows   int
}

// put sets a row: one that is there already, or the next.
func (t *table[R]) put(row int, r R) {
	for _, f := range t.fields {
		f.put(row, r)
	}
	t.rows = max(t.rows, row+1)
}

// block is everything put since the last reset. It is valid until then.
func (t *table[R]) block() Block {
	b := Block{Table: t.name, Rows: t.rows, Columns: make([]Column, 0, len(t.fields))}
	for _, f := range t.fields {
		if c, ok := f.column(t.rows); ok {
			b.Columns = append(b.Columns, c)
		}
	}
	return b
}

func (t *table[R]) reset() {
	for _, f := range t.fields {
		f.reset()
	}
	t.rows = 0
}
