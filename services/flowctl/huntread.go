package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// readRecords asks the ledger and makes messages of the rows: a column is the
// field of its name. Columns without a field are passed over.
func readRecords[M proto.Message](ctx context.Context, conn driver.Conn, empty func() M, sql string) ([]M, error) {
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	names, kinds := rows.Columns(), rows.ColumnTypes()
	cells := make([]any, len(names))
	var records []M
	for rows.Next() {
		for i := range cells {
			cells[i] = reflect.New(kinds[i].ScanType()).Interface()
		}
		if err := rows.Scan(cells...); err != nil {
			return nil, err
		}
		m := empty()
		for i, name := range names {
			if err := setColumn(m.ProtoReflect(), name, reflect.ValueOf(cells[i]).Elem()); err != nil {
				return nil, fmt.Errorf("cannot read column %s: %w", name, err)
			}
		}
		records = append(records, m)
	}
	return records, rows.Err()
}

// setColumn sets the field that a column has its name from.
func setColumn(m protoreflect.Message, column string, v reflect.Value) error {
	name, inner, nested := strings.Cut(column, ".")
	fields := m.Descriptor().Fields()
	f := cmp.Or(fieldNamed(fields, name+"_ns"), fieldNamed(fields, name))
	switch {
	case f == nil:
		return nil
	case nested:
		list := m.Mutable(f).List()
		for i := range v.Len() {
			if list.Len() <= i {
				list.AppendMutable()
			}
			if err := setColumn(list.Get(i).Message(), inner, v.Index(i)); err != nil {
				return err
			}
		}
	case f.IsList():
		list := m.Mutable(f).List()
		for i := range v.Len() {
			x, err := fieldValue(f, v.Index(i))
			if err != nil {
				return err
			}
			list.Append(x)
		}
	case name == "vpc":
		entries, ok := v.Interface().(map[string]string)
		if !ok {
			return fmt.Errorf("a map of texts was expected, not %s", v.Type())
		}
		if len(entries) > 0 {
			m.Set(f, protoreflect.ValueOfMessage(vpcOf(entries).ProtoReflect()))
		}
	default:
		x, err := fieldValue(f, v)
		if err != nil {
			return err
		}
		if !isNoAddress(f, x) {
			m.Set(f, x)
		}
	}
	return nil
}

// fieldNamed is nil, and comparably so, where there is no such field.
func fieldNamed(fields protoreflect.FieldDescriptors, name string) protoreflect.FieldDescriptor {
	return fields.ByName(protoreflect.Name(name))
}

// isNoAddress tells :: where it stands for none: endpoints and exporters always
// have an address, be it that one.
func isNoAddress(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
	if f.Kind() != protoreflect.BytesKind {
		return false
	}
	switch f.Name() {
	case "src_addr", "dst_addr", "client_addr", "server_addr", "sampler_address":
		return false
	}
	return flow.AddrFrom(v.Bytes()) == flow.Addr{}
}

// fieldValue makes a field's value of a column's.
func fieldValue(f protoreflect.FieldDescriptor, v reflect.Value) (protoreflect.Value, error) {
	switch x := v.Interface().(type) {
	case time.Time:
		return protoreflect.ValueOfUint64(uint64(max(0, x.UnixNano()))), nil
	case net.IP:
		a := flow.AddrFrom(x.To16())
		return protoreflect.ValueOfBytes(slices.Clone(a.Wire())), nil
	case bool:
		return protoreflect.ValueOfBool(x), nil
	case string:
		if f.Enum() != nil {
			return enumValue(f.Enum(), x), nil
		}
		return protoreflect.ValueOfString(x), nil
	}
	switch {
	case v.CanUint() && (f.Kind() == protoreflect.Uint64Kind || f.Kind() == protoreflect.Fixed64Kind):
		return protoreflect.ValueOfUint64(v.Uint()), nil
	case v.CanUint() && f.Kind() == protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(v.Uint())), nil
	case v.CanFloat() && f.Kind() == protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(v.Float())), nil
	}
	return protoreflect.Value{}, fmt.Errorf("%s was not expected for %s; is flowctl older than the ledger?", v.Type(), f.Name())
}

// enumValue is the enumerator of a name as the ledger writes it; 0 if it is not known.
func enumValue(e protoreflect.EnumDescriptor, name string) protoreflect.Value {
	prefix := strings.TrimSuffix(string(e.Values().ByNumber(0).Name()), "UNSPECIFIED")
	if v := e.Values().ByName(protoreflect.Name(prefix + strings.ToUpper(name))); v != nil {
		return protoreflect.ValueOfEnum(v.Number())
	}
	return protoreflect.ValueOfEnum(0)
}

// vpcOf makes the message of a map by AWS's field names.
func vpcOf(entries map[string]string) *flowv1.Vpc {
	v := &flowv1.Vpc{}
	m := v.ProtoReflect()
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		text := entries[name]
		f := fieldNamed(m.Descriptor().Fields(), name)
		if f != nil && f.Kind() == protoreflect.StringKind {
			m.Set(f, protoreflect.ValueOfString(text))
			continue
		}
		if a, err := netip.ParseAddr(text); err == nil && f != nil && f.Kind() == protoreflect.BytesKind {
			m.Set(f, protoreflect.ValueOfBytes(a.Unmap().AsSlice()))
			continue
		}
		if name == "traffic_path" {
			if _, err := fmt.Sscan(text, &v.TrafficPath); err == nil {
				continue
			}
		}
		v.Attributes = append(v.Attributes, &flowv1.VpcAttribute{Name: name, Value: text})
	}
	return v
}
