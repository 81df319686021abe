package jsonline

import (
	"encoding/hex"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// AppendTime appends nanoseconds since the epoch as RFC 3339 text in UTC with
// all nine digits, so that text order is time order. Zero, which is no time, is null.
func AppendTime(dst []byte, ns uint64) []byte {
	if ns == 0 || ns > math.MaxInt64 {
		return append(dst, "null"...)
	}
	dst = append(dst, '"')
	dst = time.Unix(0, int64(ns)).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000000000Z")
	return append(dst, '"')
}

// AppendAddr appends an address of 4 or 16 bytes as text, a v4-mapped one as
// IPv4. Other lengths are no address: hexadecimal, as they came.
func AppendAddr(dst, addr []byte) []byte {
	a, ok := netip.AddrFromSlice(addr)
	if !ok {
		return AppendHex(dst, addr)
	}
	dst = append(dst, '"')
	dst = a.Unmap().AppendTo(dst)
	return append(dst, '"')
}

// AppendMAC appends a MAC address (the lower 48 bits) as aa:bb:cc:dd:ee:ff.
func AppendMAC(dst []byte, mac uint64) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for shift := 40; shift >= 0; shift -= 8 {
		b := byte(mac >> shift)
		dst = append(dst, digits[b>>4], digits[b&15])
		if shift > 0 {
			dst = append(dst, ':')
		}
	}
	return append(dst, '"')
}

// AppendHex appends bytes as a string of hexadecimal digits.
func AppendHex(dst, b []byte) []byte {
	dst = append(dst, '"')
	dst = hex.AppendEncode(dst, b)
	return append(dst, '"')
}

// AppendString appends a JSON string; bytes that are no UTF-8 become U+FFFD.
func AppendString(dst []byte, s string) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' && c != 0x7f {
				i++
				continue
			}
			dst = append(dst, s[start:i]...)
			if c == '"' || c == '\\' {
				dst = append(dst, '\\', c)
			} else {
				dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, s[start:i]...)
			dst = append(dst, "\ufffd"...)
			i++
			start = i
			continue
		}
		i += size
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

func appendID(dst []byte, id uint64) []byte {
	dst = append(dst, '"')
	dst = strconv.AppendUint(dst, id, 10)
	return append(dst, '"')
}

// appendEnum appends the name, or the number where the schema has no name for it.
func (f *field) appendEnum(dst []byte, n protoreflect.EnumNumber) []byte {
	if name, ok := f.enum[n]; ok {
		return append(dst, name...)
	}
	return strconv.AppendInt(dst, int64(n), 10)
}

func appendScalar(dst []byte, k protoreflect.Kind, v protoreflect.Value) []byte {
	switch k {
	case protoreflect.BoolKind:
		return strconv.AppendBool(dst, v.Bool())
	case protoreflect.StringKind:
		return AppendString(dst, v.String())
	case protoreflect.FloatKind:
		return appendFloat(dst, v.Float(), 32)
	case protoreflect.DoubleKind:
		return appendFloat(dst, v.Float(), 64)
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.Fixed32Kind:
		return strconv.AppendUint(dst, v.Uint(), 10)
	}
	return strconv.AppendInt(dst, v.Int(), 10)
}

// appendFloat appends the shortest number that reads back the same; JSON has no
// infinities, they are null.
func appendFloat(dst []byte, f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, bits)
}

func sortedKeys(keys []string, m protoreflect.Map) []string {
	m.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
		keys = append(keys, k.String())
		return true
	})
	slices.Sort(keys)
	return keys
}
