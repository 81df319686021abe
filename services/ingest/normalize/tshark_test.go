package normalize

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// disagreement is where we read a capture otherwise than tshark, and why that is right.
type disagreement struct {
	capture string
	// at is the record's place in its datagram, or -1 for all of the capture.
	at int
	// field is our name of what differs; "" is the record as a whole.
	field string
	why   string
}

const (
	yafLists = "tshark does not take subTemplateMultiList apart: its bytes are those of template 49156, both MAC addresses"
	farAhead = "the uptimes are more than a minute ahead of the header's, which cannot be: then they are told to be from the round of 49.7 days before (clock.go), and the flow is suspect"
	backward = "it ends before it starts: start and end are exchanged, and the flow is suspect"
)

var disagreements = []disagreement{
	{"yaf", -1, "src_mac", yafLists},
	{"yaf", -1, "dst_mac", yafLists},
	{"v9_fortigate521", 24, "time_flow_start", farAhead},
	{"v9_fortigate521", 24, "time_flow_end", farAhead},
	// The datagram of v5_invalid01 is cut, and its records have lost bytes: the fields
	// are not those that the router wrote, so that times are any.
	{"v5_invalid01", 312, "time_flow_start", farAhead},
	{"v5_invalid01", 312, "time_flow_end", farAhead},
	{"v5_invalid01", 312, "duration", farAhead},
	{"v5_invalid01", 408, "time_flow_start", backward},
	{"v5_invalid01", 408, "time_flow_end", backward},
	{"v5_invalid01", 408, "duration", backward},
	{"v5_invalid01", 648, "time_flow_start", farAhead},
	{"v5_invalid01", 648, "time_flow_end", farAhead},
	{"v5_invalid01", 648, "duration", farAhead},
	{"v5_invalid01", 1176, "time_flow_start", backward},
	{"v5_invalid01", 1176, "time_flow_end", backward},
	{"v5_invalid01", 1176, "duration", backward},
	{"v5_invalid01", 1224, "time_flow_start", farAhead},
	{"v5_invalid01", 1224, "duration", farAhead},
	{"v5_invalid01", 1320, "time_flow_start", farAhead},
	{"v5_invalid01", 1320, "time_flow_end", farAhead},
}

// TestAgainstTshark holds every record of every capture against tshark's dissection,
// record by record by their places in the datagrams, and field by field. What differs
// must be among the disagreements, and each of these must be one.
func TestAgainstTshark(t *testing.T) {
	needShared(t)
	paths, _ := filepath.Glob(filepath.Join(shared, "captures", "*.pcap"))
	if len(paths) < 40 {
		t.Fatalf("%d captures", len(paths))
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".pcap")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := comparison{t: t, capture: name, met: map[int]bool{}}
			c.run(datagrams(t, path), dissect(t, path))
			for i, d := range disagreements {
				if d.capture == name && !c.met[i] {
					t.Errorf("there is no disagreement on %q at %d (%s)", d.field, d.at, d.why)
				}
			}
			t.Logf("%d records, %d fields", c.records, c.fields)
		})
	}
}

// comparison is that of one capture.
type comparison struct {
	t               *testing.T
	capture         string
	met             map[int]bool
	records, fields int
}

// ours is what came of one record.
type ours struct {
	flows, events, facts []map[string]string
}

func (c *comparison) run(in []Datagram, want []dissected) {
	if len(in) != len(want) {
		c.t.Fatalf("%d datagrams, tshark has %d", len(in), len(want))
	}
	got := byPlace(in)
	judge := newJudge()
	for i := range want {
		judge.datagram(&want[i])
		for j := range want[i].records {
			r := &want[i].records[j]
			o := got[place{i, r.at}]
			delete(got, place{i, r.at})
			c.record(judge, r, o)
		}
	}
	for p := range got {
		c.differs(p.at, "", "tshark has no record there", fmt.Sprintf("datagram %d", p.datagram))
	}
}

// record compares one record.
func (c *comparison) record(judge *judge, r *dissectedRecord, o *ours) {
	c.records++
	if o == nil {
		c.differs(r.at, "", fmt.Sprint(r.fields), "nothing")
		return
	}
	if len(o.facts) > 0 {
		judge.options(r)
		c.attributes(r, o.facts[0])
		return
	}
	there, back := judge.flow(r)
	switch {
	case len(o.flows) == 1 && o.flows[0]["src_addr"] == back["src_addr"] && there["bytes"] == "0":
		c.compare(r.at, back, o.flows[0])
	case len(o.flows) > 0:
		c.compare(r.at, there, o.flows[0])
	}
	if len(o.flows) == 2 {
		c.compare(r.at, back, o.flows[1])
	}
	if len(o.events) > 0 {
		c.compare(r.at, judge.event(r), o.events[0])
		c.attributes(r, o.events[0])
		return
	}
	for _, f := range r.fields {
		if !r.asked[f.name] && unkept[f.name] == "" {
			c.differs(r.at, "", f.name+"="+f.show, "not compared")
		}
	}
}

// compare holds what tshark says against what we say.
func (c *comparison) compare(at int, want, got map[string]string) {
	for _, name := range sortedKeys(want) {
		c.fields++
		w, g := plain(want[name]), plain(got[name])
		if w != g && !within(w, g) {
			c.differs(at, name, w, g)
		}
	}
}

// within tells whether a time is one that may be up to a second later.
func within(want, got string) bool {
	from, ok := strings.CutSuffix(want, later)
	w, _ := time.Parse(time.RFC3339Nano, from)
	g, err := time.Parse(time.RFC3339Nano, got)
	return ok && err == nil && !g.Before(w) && g.Sub(w) < time.Second
}

// differs reports a difference, unless it is known.
func (c *comparison) differs(at int, field, want, got string) {
	for i, d := range disagreements {
		if d.capture == c.capture && (d.at == -1 || d.at == at) && d.field == field {
			c.met[i] = true
			return
		}
	}
	c.t.Errorf("%s, record at %d: %s is %q, by tshark %q", c.capture, at, field, got, want)
}

// plain is a value without what only says that there is none.
func plain(s string) string {
	switch s {
	case "0", "0.0.0.0", "::", "[]", "00:00:00:00:00:00":
		return ""
	}
	return s
}

// place is where a record lies.
type place struct{ datagram, at int }

// byPlace reads datagrams and sorts what comes out by the records it came of: an
// identity is the datagram's hash and the place of the record, counted on where more
// than one thing came of it.
func byPlace(in []Datagram) map[place]*ours {
	n, out := New(Default()), &Result{}
	datagram := map[uint64]int{}
	for i, d := range in {
		m := message{from: d.Exporter}
		datagram[m.identity(d.Payload)&^(1<<positionBits-1)] = i
		n.Datagram(d, out)
	}
	all := map[place]*ours{}
	at := func(id uint64) *ours {
		p := place{datagram[id&^(1<<positionBits-1)], int(id & (1<<positionBits - 1))}
		for back := 0; back < 8; back++ { // no record is shorter
			if o, ok := all[place{p.datagram, p.at - back}]; ok {
				return o
			}
		}
		all[p] = &ours{}
		return all[p]
	}
	for _, f := range out.Flows {
		o := at(f.RecordId)
		text := textual(f)
		text["duration"] = time.Duration(f.TimeFlowEndNs - f.TimeFlowStartNs).String()
		o.flows = append(o.flows, text)
	}
	for _, e := range out.Events {
		o := at(e.RecordId)
		o.events = append(o.events, textual(e))
	}
	for _, f := range out.Facts {
		if len(f.Template) > 0 || f.Attributes[skewAttribute] != "" {
			continue
		}
		o := at(f.RecordId)
		o.facts = append(o.facts, textual(f))
	}
	return all
}

// textual is a message's fields as the golden files write them, without quotes, and
// the attributes beside them.
func textual(m proto.Message) map[string]string {
	all := map[string]string{}
	m.ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd.IsMap() {
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				all["@"+k.String()] = v.String()
				return true
			})
			return true
		}
		all[fieldName(fd)] = strings.ReplaceAll(renderField(fd, v), `"`, "")
		return true
	})
	return all
}

// attributes asks that an event or a fact has a value of tshark's among its own.
func (c *comparison) attributes(r *dissectedRecord, got map[string]string) {
	has := map[string]bool{}
	for _, v := range got {
		has[v] = true
		if a, err := netip.ParseAddr(v); err == nil {
			has[a.String()] = true
		}
	}
	for _, f := range r.fields {
		if plain(strings.Trim(f.show, "0x:")) == "" || halves[f.name] || r.asked[f.name] {
			continue
		}
		c.fields++
		found := false
		for _, form := range formsOf(f.show) {
			found = found || has[form]
		}
		if !found {
			c.differs(r.at, "attributes", f.name+"="+f.show, fmt.Sprint(got))
		}
	}
}
