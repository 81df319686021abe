package files

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/flowledger/flowledger/services/ingest/vpc"
)

// column is a column that can stand in a line.
type column struct {
	name  string
	write func([]byte, parquet.Value) []byte
}

// append writes a value; there is a dash where there is none.
func (c *column) append(line []byte, v parquet.Value) []byte {
	if v.IsNull() {
		return append(line, '-')
	}
	return c.write(line, v)
}

// columnsOf are the columns by their index in a row; nil for those that are not
// part of a log: lists and structures, and what a tool adds for itself, such as
// the __index_level_0__ of pandas.
func columnsOf(f *parquet.File) []*column {
	columns := make([]*column, len(f.Schema().Columns()))
	for _, c := range f.Root().Columns() {
		name := strings.ToLower(c.Name())
		if c.Leaf() && !c.Repeated() && vpc.IsField(name) {
			columns[c.Index()] = &column{name: name, write: writerOf(c.Type())}
		}
	}
	return columns
}

// writerOf is how values of a type are written. Tools that rewrite logs turn
// times into timestamps, numbers that may be missing into floating point, and large
// ones into decimals: in a line all are whole numbers again, times in seconds.
func writerOf(t parquet.Type) func([]byte, parquet.Value) []byte {
	var logical format.LogicalTypeValue
	if l := t.LogicalType(); l != nil {
		logical = l.Value
	}
	switch l := logical.(type) {
	case *format.TimestampType:
		unit := int64(time.Second / l.Unit.Value.Duration())
		return func(line []byte, v parquet.Value) []byte { return strconv.AppendInt(line, v.Int64()/unit, 10) }
	case *format.DecimalType:
		if 0 <= l.Scale && l.Scale <= maxDigits {
			return func(line []byte, v parquet.Value) []byte { return appendDecimal(line, v, int(l.Scale)) }
		}
	case *format.IntType:
		if l.IsSigned {
			break
		}
		if t.Kind() == parquet.Int32 {
			return func(line []byte, v parquet.Value) []byte { return strconv.AppendUint(line, uint64(v.Uint32()), 10) }
		}
		return func(line []byte, v parquet.Value) []byte { return strconv.AppendUint(line, v.Uint64(), 10) }
	}
	switch t.Kind() {
	case parquet.Boolean:
		return func(line []byte, v parquet.Value) []byte { return strconv.AppendBool(line, v.Boolean()) }
	case parquet.Int32:
		return func(line []byte, v parquet.Value) []byte { return strconv.AppendInt(line, int64(v.Int32()), 10) }
	case parquet.Int64:
		return func(line []byte, v parquet.Value) []byte { return strconv.AppendInt(line, v.Int64(), 10) }
	case parquet.Int96:
		return appendInt96
	case parquet.Float:
		return func(line []byte, v parquet.Value) []byte { return appendFloat(line, float64(v.Float())) }
	case parquet.Double:
		return func(line []byte, v parquet.Value) []byte { return appendFloat(line, v.Double()) }
	}
	return func(line []byte, v parquet.Value) []byte { return appendText(line, v.ByteArray()) }
}

// appendInt96 writes a time in seconds: INT96 is nanoseconds since midnight, and
// the number of the Julian day.
func appendInt96(line []byte, v parquet.Value) []byte {
	const epoch = 2_440_588 // the day 1970-01-01
	i := v.Int96()
	ns := uint64(i[1])<<32 | uint64(i[0])
	return strconv.AppendInt(line, (int64(i[2])-epoch)*86_400+int64(ns/1e9), 10)
}

// maxDigits is how many digits a decimal may have; writers keep to 38, or to 76.
const maxDigits = 76

// appendDecimal writes a number that is given in units of 10^-scale: as an integer,
// or as the bytes of one, most significant first, in two's complement. What it has
// behind the point is written where it is not zero, so that nothing is lost unseen.
func appendDecimal(line []byte, v parquet.Value, scale int) []byte {
	n := new(big.Int)
	switch v.Kind() {
	case parquet.Int32:
		n.SetInt64(int64(v.Int32()))
	case parquet.Int64:
		n.SetInt64(v.Int64())
	default:
		b := v.ByteArray()
		if len(b) > maxDigits/2 {
			return appendText(line, b)
		}
		n.SetBytes(b)
		if len(b) > 0 && b[0] >= 0x80 {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
		}
	}
	if n.Sign() < 0 {
		line = append(line, '-')
		n.Neg(n)
	}
	whole, rest := n.QuoRem(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil), new(big.Int))
	line = whole.Append(line, 10)
	if rest.Sign() != 0 {
		line = fmt.Appendf(line, ".%0*s", scale, rest)
	}
	return line
}

func appendFloat(line []byte, x float64) []byte {
	if math.IsNaN(x) {
		return append(line, '-') // what pandas has for null
	}
	return strconv.AppendFloat(line, x, 'f', -1, 64)
}

func appendText(line, text []byte) []byte {
	if len(text) == 0 {
		return append(line, '-')
	}
	for _, c := range text { // blanks part the fields
		if c <= ' ' {
			c = '_'
		}
		line = append(line, c)
	}
	return line
}
