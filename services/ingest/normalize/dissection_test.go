package normalize

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// dissected is one datagram as tshark reads it. It is kept as lines of text, so
// that the comparison runs where there is no tshark:
//
//	datagram version=9 unix_secs=1507580555 …      the header's fields
//	template 259 / options 256 / unknown 259       sets, where they say something
//	@92 srcaddr=10.111.111.242 dstaddr=…           a record by its place in the datagram
type dissected struct {
	header  []labelled
	records []dissectedRecord
}

// dissectedRecord is a record (of sFlow: a sample) and its fields in their order.
type dissectedRecord struct {
	at     int
	fields []labelled
	asked  map[string]bool // the fields that the comparison looked at
}

type labelled struct{ name, show string }

// all are the values of a field, in their order.
func (r *dissectedRecord) all(name string) (shows []string) {
	r.asked[name] = true
	for _, f := range r.fields {
		if f.name == name {
			shows = append(shows, f.show)
		}
	}
	return shows
}

// pdml is an element of tshark's PDML: a protocol or a field, with what is in it.
type pdml struct {
	Name     string `xml:"name,attr"`
	Show     string `xml:"show,attr"`
	ShowName string `xml:"showname,attr"`
	Value    string `xml:"value,attr"`
	Unmasked string `xml:"unmaskedvalue,attr"`
	Pos      int    `xml:"pos,attr"`
	Inside   []pdml `xml:",any"`
}

// dissect has tshark read a capture; where there is no tshark, or with -short, it takes
// what tshark once read. The ports are not all the customary ones, so tshark is told
// which dissector they are for.
func dissect(t *testing.T, capture string) []dissected {
	t.Helper()
	golden := filepath.Join("testdata", "tshark", strings.TrimSuffix(filepath.Base(capture), ".pcap")+".txt")
	if _, err := exec.LookPath("tshark"); (err != nil || testing.Short()) && !*update {
		text, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		return parseDissection(t, text)
	}
	dissector := "cflow"
	if strings.HasPrefix(filepath.Base(capture), "sflow") {
		dissector = "sflow"
	}
	args := []string{"-r", retouched(t, capture), "-T", "pdml", "-n"}
	for _, port := range []int{2055, 2100, 4739, 6343, 9990, 9991} {
		args = append(args, "-d", fmt.Sprintf("udp.port==%d,%s", port, dissector))
	}
	c := exec.Command("tshark", args...)
	c.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C")
	text, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := compacted(t, text, dissector)
	if *update {
		if err := os.WriteFile(golden, lines, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return parseDissection(t, lines)
}

// retouches are changes without which tshark leaves records of a capture out. They are
// made in the copy that it gets, and change no record.
var retouches = map[string]struct {
	change func(packet []byte)
	why    string
}{
	"v9_h3c": {
		replace(values(2, 43, 2, 2), values(2, 210, 2, 2)),
		"element 43, of two bytes here, is an address to tshark, which gives up on the datagram there: let it be padding",
	},
	"v9_invalid01": {
		replace(values(2, 9, 2, 2, 4, 400418), values(2, 9, 2, 20, 4, 400418)),
		"the header counts 2 sets of 6, and tshark reads no more than are counted: let it count enough",
	},
	"options_reassigned": {
		replace(values(2, 2, 2, 0x20, 2, 61853, 2, 9991), values(2, 2, 2, 2, 2, 65156, 2, 9991)),
		"the exporter has templates and data to two collectors, from two ports, and tshark keeps templates apart by these: let it be one",
	},
}

// replace changes a stretch of bytes to another of the same length.
func replace(from, to []byte) func([]byte) {
	return func(packet []byte) {
		if i := bytes.Index(packet, from); i >= 0 {
			copy(packet[i:], to)
		}
	}
}

// retouched is the path of the capture for tshark.
func retouched(t *testing.T, capture string) string {
	t.Helper()
	r, ok := retouches[strings.TrimSuffix(filepath.Base(capture), ".pcap")]
	if !ok {
		return capture
	}
	text, err := os.ReadFile(capture)
	if err != nil {
		t.Fatal(err)
	}
	before := bytes.Clone(text)
	for at := 24; at < len(text); { // little-endian pcap: 16 bytes before each packet
		length := int(binary.LittleEndian.Uint32(text[at+8:]))
		r.change(text[at+16 : at+16+length])
		at += 16 + length
	}
	if bytes.Equal(text, before) {
		t.Fatalf("nothing to change in %s (%s)", capture, r.why)
	}
	copied := filepath.Join(t.TempDir(), filepath.Base(capture))
	if err := os.WriteFile(copied, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return copied
}

// compacted writes what PDML says of the records.
func compacted(t *testing.T, text []byte, dissector string) []byte {
	t.Helper()
	var all struct {
		Packets []pdml `xml:"packet"`
	}
	d := xml.NewDecoder(bytes.NewReader(text))
	d.Strict = false
	if err := d.Decode(&all); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for i := range all.Packets {
		for j := range all.Packets[i].Inside {
			if p := &all.Packets[i].Inside[j]; p.Name == dissector {
				w := dissectionWriter{b: &b, base: p.Pos}
				w.datagram(p, all.Packets[i].Inside[j+1:])
			}
		}
	}
	return b.Bytes()
}

// dissectionWriter writes one datagram.
type dissectionWriter struct {
	b    *bytes.Buffer
	base int // where in the packet the datagram begins
}

var recordTitle = regexp.MustCompile(`^(Flow \d+|pdu \d+/\d+|(Expanded )?[Ff]low sample|Counters sample)`)

// datagram writes the header's fields, which come first, and then the records. What
// is in a tunnel in a sampled packet, tshark puts beside the sFlow datagram.
func (w *dissectionWriter) datagram(p *pdml, beside []pdml) {
	w.b.WriteString("datagram")
	w.fields(p.Inside, false)
	w.b.WriteByte('\n')
	w.titled(p.Inside)
	if p.Name == "sflow" && len(beside) > 0 {
		w.b.Truncate(w.b.Len() - 1)
		w.fields(beside, true)
		w.b.WriteByte('\n')
	}
}

// titled goes through what has a title: sets, in them records.
func (w *dissectionWriter) titled(inside []pdml) {
	for i := range inside {
		switch f := &inside[i]; {
		case f.Name != "":
		case recordTitle.MatchString(f.Show):
			fmt.Fprintf(w.b, "@%d", f.Pos-w.base)
			w.fields(f.Inside, true)
			w.b.WriteByte('\n')
		default:
			w.titled(f.Inside)
		}
	}
}

// unsaid are fields that say of the encoding, or say again what another field does.
var unsaid = regexp.MustCompile(`^(padding|string_len_.*|tcpflags\..*|tcpflags16\..*|tcp\.flags\..*|forwarding_status_.*|timedelta|mpls_exp|mpls_bos|` +
	`flowset_.*|sequence_analysis\..*|unexpected_sequence_number|template_.*|len|count|.*_length|sampled_header_length)$`)

// fields writes fields and, if deep, what is in those that have a title.
func (w *dissectionWriter) fields(inside []pdml, deep bool) {
	for i := range inside {
		f := &inside[i]
		name, wanted := w.name(f)
		if wanted {
			show := f.Show
			if f.Unmasked != "" && name == "forwarding_status" { // it shows the upper two bits alone
				show = "0x" + f.Unmasked
			}
			if strings.HasSuffix(show, "…") || strings.ContainsAny(show, " \"=") || show == "" {
				show = strconv.Quote(show)
			}
			fmt.Fprintf(w.b, " %s=%s", name, show)
		}
		if f.Name != "" || deep {
			w.fields(f.Inside, deep)
		}
	}
}

var (
	enterpriseTitle = regexp.MustCompile(`\((.*)\) Type (\d+)`)
	packetFields    = []string{
		"eth.dst", "eth.src", "eth.type", "vlan.id", "vlan.etype", "mpls.label", "mpls.ttl",
		"ip.len", "ip.id", "ip.ttl", "ip.proto", "ip.src", "ip.dst", "ip.dsfield", "ip.frag_offset",
		"ipv6.plen", "ipv6.nxt", "ipv6.hlim", "ipv6.src", "ipv6.dst", "ipv6.tclass", "ipv6.flow",
		"tcp.srcport", "tcp.dstport", "tcp.flags", "udp.srcport", "udp.dstport", "icmp.type", "icmp.code", "icmpv6.type", "icmpv6.code", "vxlan.vni",
	}
)

// name is what a field is called here: as tshark calls it without the protocol, with
// the enterprise and the number where it has no name, and a mark where it is of the
// way back.
func (w *dissectionWriter) name(f *pdml) (name string, wanted bool) {
	protocol, name, ok := strings.Cut(f.Name, ".")
	switch {
	case !ok:
		return "", false
	case protocol != "cflow" && !strings.HasPrefix(protocol, "sflow"):
		return f.Name, slices.Contains(packetFields, f.Name)
	case unsaid.MatchString(name):
		return "", false
	case name == "enterprise_private_entry":
		if m := enterpriseTitle.FindStringSubmatch(f.ShowName); m != nil {
			name = fmt.Sprintf("%q/%s", m[1], m[2])
		}
	}
	if strings.Contains(f.ShowName, "(Reverse Type") {
		name += "[reverse]"
	}
	return strings.ReplaceAll(name, " ", "_"), true
}

// parseDissection reads the lines back.
func parseDissection(t *testing.T, text []byte) (all []dissected) {
	t.Helper()
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		first, rest, _ := strings.Cut(lines.Text(), " ")
		fields := parseLabelled(t, rest)
		if first == "datagram" {
			all = append(all, dissected{header: fields})
			continue
		}
		at, err := strconv.Atoi(strings.TrimPrefix(first, "@"))
		if err != nil || len(all) == 0 {
			t.Fatalf("not a record: %s", lines.Text())
		}
		d := &all[len(all)-1]
		d.records = append(d.records, dissectedRecord{at, fields, map[string]bool{}})
	}
	return all
}

func parseLabelled(t *testing.T, s string) (fields []labelled) {
	t.Helper()
	for s != "" {
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			t.Fatalf("not a field: %s", s)
		}
		if q, err := strconv.QuotedPrefix(rest); err == nil {
			show, _ := strconv.Unquote(q)
			fields = append(fields, labelled{name, show})
			s = strings.TrimPrefix(rest[len(q):], " ")
			continue
		}
		show, after, _ := strings.Cut(rest, " ")
		fields = append(fields, labelled{name, show})
		s = after
	}
	return fields
}
