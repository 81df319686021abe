package normalize

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// form is how a value is written as text.
type form uint8

const (
	formNumber form = iota
	formAddress
	formMAC
	formText
	formSeconds
	formMillis
	formNTP
	formNTPMicros
	formBytes
	formSigned
	formFloat
	formBoolean
)

// formOf tells by an element's name how its values are written: IANA's names
// say what a value is.
func formOf(name string) form {
	ends := func(suffixes ...string) bool {
		for _, s := range suffixes {
			if strings.HasSuffix(name, s) {
				return true
			}
		}
		return false
	}
	switch {
	case ends("IPv4Address", "IPv6Address", "AddressIPv4", "IPv4Prefix", "IPv6Prefix"):
		return formAddress
	case ends("MacAddress"):
		return formMAC
	case ends("Name", "Description", "String", "Username", "username", "Url", "Host", "Target", "Method", "Cookie",
		"Referer", "UserAgent", "ContentType", "Via", "Query", "User", "Application", "XForwardedFor", "Authorization",
		"Text", "Rule", "TrafficClass", "Relevance", "vifId", "virtualObsId"):
		return formText
	case name == "applicationId", ends("AclId", "ChainId", "Section", "Data"):
		return formBytes
	case strings.Contains(name, "Delta"), strings.Contains(name, "Duration"), strings.Contains(name, "Jitter"), strings.Contains(name, "Interval"):
		return formNumber
	case ends("StartSeconds", "EndSeconds", "TimeSeconds"):
		return formSeconds
	case ends("Milliseconds"):
		return formMillis
	case ends("Microseconds"):
		return formNTPMicros
	case ends("Nanoseconds"):
		return formNTP
	}
	return formNumber
}

// render writes a value as text: what it should be by its form, else a number
// where it fits 64 bits, else text where it is printable, else hexadecimal.
func render(f form, b []byte, receivedNs uint64) string {
	switch {
	case f == formAddress && (len(b) == 4 || len(b) == 16):
		a, _ := netip.AddrFromSlice(b)
		return a.String()
	case f == formMAC && len(b) == 6:
		return macText(b)
	case f == formText:
		return textOf(b)
	case f == formSeconds && len(b) == 4:
		return timeText(uint64(binary.BigEndian.Uint32(b)) * 1e9)
	case f == formMillis && len(b) == 8:
		if ms := binary.BigEndian.Uint64(b); ms < 1<<63/nsPerMs {
			return timeText(ms * 1e6)
		}
	case f == formNTP && len(b) == 8:
		return timeText(ntpNs(binary.BigEndian.Uint64(b), receivedNs))
	case f == formNTPMicros && len(b) == 8:
		return timeText(ntpMicrosNs(binary.BigEndian.Uint64(b), receivedNs))
	case f == formBytes:
		return hex.EncodeToString(b)
	case f == formSigned && len(b) <= 8:
		shift := 64 - 8*len(b)
		return strconv.FormatInt(int64(uintOf(b)<<shift)>>shift, 10)
	case f == formFloat && (len(b) == 4 || len(b) == 8):
		return strconv.FormatFloat(floatOf(b), 'g', -1, 8*len(b))
	case f == formBoolean && len(b) == 1: // RFC 7011 §6.1.5
		return strconv.FormatBool(b[0] == 1)
	}
	if len(b) <= 8 {
		return strconv.FormatUint(uintOf(b), 10)
	}
	if s := textOf(b); printable(s) {
		return s
	}
	return hex.EncodeToString(b)
}

// textOf is a string field without the NULs and blanks it is padded with.
// What is no UTF-8 is replaced, since messages must not carry it.
func textOf(b []byte) string {
	return strings.ToValidUTF8(string(trimText(b)), "\uFFFD")
}

// trimText cuts the padding off a string field. A text ends at the first NUL: behind
// it, exporters that write C strings leave what was in their memory.
func trimText(b []byte) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	for len(b) > 0 && b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	return b
}

// printable tells whether a text has letters and no control characters.
func printable(s string) bool {
	if s == "" || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return false
		}
	}
	return true
}

func timeText(ns uint64) string {
	return time.Unix(int64(ns/1e9), int64(ns%1e9)).UTC().Format(time.RFC3339Nano)
}

func macText(b []byte) string {
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 3*len(b))
	for i, c := range b {
		if i > 0 {
			out = append(out, ':')
		}
		out = append(out, digits[c>>4], digits[c&15])
	}
	return string(out)
}

// uintOf reads an unsigned integer of up to 8 bytes (RFC 7011 §6.2: reduced-size
// encoding); of longer values, the last 8.
func uintOf(b []byte) uint64 {
	switch len(b) {
	case 4:
		return uint64(binary.BigEndian.Uint32(b))
	case 2:
		return uint64(binary.BigEndian.Uint16(b))
	case 1:
		return uint64(b[0])
	case 8:
		return binary.BigEndian.Uint64(b)
	}
	if len(b) > 8 {
		b = b[len(b)-8:]
	}
	var v uint64
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v
}

// zero tells whether all bytes are zero.
func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
