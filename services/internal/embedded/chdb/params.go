//go:build linux && (amd64 || arm64)

package chdb

import (
	"runtime"
	"unsafe"
)

// Param is one query parameter: `{name:Type}` in the statement. The value is
// text escaped as a TabSeparated field, as ClickHouse's HTTP interface has it.
type Param struct {
	Name, Value string
}

// params are query parameters in the shape of the C interface: parallel arrays
// of pointers and lengths. The pinner holds what the arrays point to.
type params struct {
	names, values       []unsafe.Pointer
	nameLens, valueLens []uintptr
	pins                runtime.Pinner
}

func newParams(list []Param) *params {
	p := &params{}
	for _, param := range list {
		name, value := text(param.Name), text(param.Value)
		p.pins.Pin(name)
		p.pins.Pin(value)
		p.names, p.nameLens = append(p.names, name), append(p.nameLens, uintptr(len(param.Name)))
		p.values, p.valueLens = append(p.values, value), append(p.valueLens, uintptr(len(param.Value)))
	}
	return p
}

// array is the address of a slice's first element, nil for an empty one.
func array[T any](s []T) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(s)) }

// text is the address of a string's bytes with a NUL behind them: the library
// takes lengths, but an empty Go string has no address of its own.
func text(s string) unsafe.Pointer { return array(append([]byte(s), 0)) }
