package flow

import "encoding/binary"

// Fields are those fields of a message that a stage looks at, read off the wire
// without the rest being decoded. Each has its place; what is nobody's goes to
// place 0.
type Fields struct {
	Numbers [numberPlaces]uint64
	// Texts alias the message.
	Texts [textPlaces][]byte
	// Nested are the messages within, as they came.
	Nested [][]byte
	// Tail is where the fields behind the reporters begin, where that is asked for.
	Tail int
}

// Powers of two, so that no place is out of bounds.
const (
	numberPlaces = 32
	textPlaces   = 4
)

// Layout tells of each field of a message, by number, how it lies on the wire and
// where it goes. A message with any other is not for a reader in a hurry.
type Layout [256]Field

// Field is a field's wire type, one higher, and its place. The zero Field is none.
type Field struct{ kind, place uint8 }

// NumberField is a field of a number or a truth value.
func NumberField(place uint8) Field { return Field{1 + varint, place % numberPlaces} }

// Fixed8Field is a field of eight bytes.
func Fixed8Field(place uint8) Field { return Field{1 + fixed8, place % numberPlaces} }

// Fixed4Field is a field of four bytes.
func Fixed4Field(place uint8) Field { return Field{1 + fixed4, place % numberPlaces} }

// TextField is a field of bytes or a string.
func TextField(place uint8) Field { return Field{1 + text, place % textPlaces} }

// NestedField is a field of a message.
func NestedField() Field { return Field{1 + text, withinPlace} }

// withinPlace is the place of texts that are messages.
const withinPlace = textPlaces

// Read reads a message, and tells whether it is as they mostly are. If not, f is of
// no use, and the generated code may know better. Messages have some thirty fields,
// so this is one loop without calls for most of them.
func (f *Fields) Read(msg []byte, l *Layout) bool {
	f.Numbers, f.Texts, f.Nested = [numberPlaces]uint64{}, [textPlaces][]byte{}, f.Nested[:0]
	for i := 0; i < len(msg); {
		tag := uint(msg[i])
		i++
		if tag >= 0x80 {
			if i == len(msg) || msg[i] >= 0x10 {
				return false // no number below 256
			}
			tag = tag&0x7f | uint(msg[i])<<7
			i++
		}
		field := l[uint8(tag>>3)]
		if uint8(tag&7)+1 != field.kind {
			return false
		}
		switch field.kind {
		case 1 + varint:
			if i == len(msg) {
				return false
			}
			v := uint64(msg[i])
			if i++; v >= 0x80 {
				if i < len(msg) && msg[i] < 0x80 { // two bytes
					v = v&0x7f | uint64(msg[i])<<7
					i++
				} else if v, i = Varint(msg, i-1); i < 0 {
					return false
				}
			}
			f.Numbers[field.place%numberPlaces] = v
		case 1 + text:
			size, at := Varint(msg, i)
			if at < 0 || size > uint64(len(msg)-at) {
				return false
			}
			i = at + int(size)
			if b := msg[at:i:i]; field.place == withinPlace {
				f.Nested = append(f.Nested, b)
			} else {
				f.Texts[field.place%textPlaces] = b
			}
		case 1 + fixed8:
			if len(msg)-i < 8 {
				return false
			}
			f.Numbers[field.place%numberPlaces] = binary.LittleEndian.Uint64(msg[i:])
			i += 8
		default: // 1+fixed4
			if len(msg)-i < 4 {
				return false
			}
			f.Numbers[field.place%numberPlaces] = uint64(binary.LittleEndian.Uint32(msg[i:]))
			i += 4
		}
	}
	return true
}
