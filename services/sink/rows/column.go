// Package rows turns the records of the log into blocks of columns, as the
// ledger's tables have them. Pure: it knows neither Kafka nor ClickHouse.
//
//	message of a topic ──Append──▶ one builder per topic ──Take──▶ one Block per table
//
// A column has the name of the record's field; the tables of package schema
// say what each means. Columns that nothing was ever put into are left out of
// the block, so a flow of 80 fields costs what its exporter said and no more.
package rows

import "slices"

// Block is what one INSERT brings into one table.
type Block struct {
	Table string
	// Rows is the number of rows: the length of every column.
	Rows int
	// Columns are those that hold something other than the table's default.
	Columns []Column
}

// Column is one column of a block. Values is a slice of uint8, uint16, uint32,
// uint64, int8 (an Enum8 by number), bool, float32, string, [16]byte (IPv6)
// or Time. Of a column that is an array it is a slice of such slices, of a Map
// one of []Pair.
type Column struct {
	Name   string
	Values any
}

// field fills one column from records of type R.
type field[R any] interface {
	// title is the column's name.
	title() string
	// put sets the column's value of a row: one that is there already, or the next.
	put(row int, r R)
	// column hands out the column of so many rows; not ok if it may be left out.
	column(rows int) (c Column, ok bool)
	reset()
}

// column is a field whose values can be compared.
type column[R any, V comparable] struct {
	name   string
	value  func(R) V
	values []V
	// always tells that the column is in every block.
	always bool
}

// key makes a field as col does, whose column is never left out: every table
// needs one, for there is no INSERT of no columns.
func key[R any, V comparable](name string, value func(R) V) field[R] {
	return &column[R, V]{name: name, value: value, always: true}
}

// col makes a field that fills the column name with value(record).
func col[R any, V comparable](name string, value func(R) V) field[R] {
	return &column[R, V]{name: name, value: value}
}

func (c *column[R, V]) title() string { return c.name }

func (c *column[R, V]) put(row int, r R) {
	v := c.value(r)
	if row < len(c.values) {
		c.values[row] = v
		return
	}
	var zero V
	if v == zero {
		return
	}
	c.pad(row)
	c.values = append(c.values, v)
}

// pad fills up with defaults: the values of rows that left the column alone.
func (c *column[R, V]) pad(rows int) {
	n := len(c.values)
	c.values = slices.Grow(c.values, max(rows-n, 0))[:max(rows, n)]
	clear(c.values[n:])
}

func (c *column[R, V]) column(rows int) (Column, bool) {
	if len(c.values) == 0 && !c.always {
		return Column{}, false
	}
	c.pad(rows)
	return Column{Name: c.name, Values: c.values}, true
}

func (c *column[R, V]) reset() {
	clear(c.values)
	c.values = c.values[:0]
}
