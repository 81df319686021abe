package conf

import (
	"errors"
	"strconv"
	"strings"
)

// Bytes is a size: 4096, 64KiB, 16MiB, 2GiB.
type Bytes int64

var byteUnits = []struct {
	suffix string
	shift  uint
}{{"GiB", 30}, {"MiB", 20}, {"KiB", 10}, {"", 0}}

// UnmarshalText reads a whole number of bytes, KiB, MiB or GiB.
func (b *Bytes) UnmarshalText(text []byte) error {
	for _, u := range byteUnits {
		digits, ok := strings.CutSuffix(string(text), u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > (1<<62)>>u.shift {
			break
		}
		*b = Bytes(n << u.shift)
		return nil
	}
	return errors.New("write a size such as 4096, 64KiB, 16MiB or 2GiB")
}

// MarshalText writes the size in the largest unit that divides it.
func (b Bytes) MarshalText() ([]byte, error) {
	for _, u := range byteUnits {
		if unit := int64(1) << u.shift; b != 0 && int64(b)%unit == 0 {
			return []byte(strconv.FormatInt(int64(b)/unit, 10) + u.suffix), nil
		}
	}
	return []byte(strconv.FormatInt(int64(b), 10)), nil
}

// String is the size as MarshalText writes it.
func (b Bytes) String() string {
	text, _ := b.MarshalText()
	return string(text)
}
