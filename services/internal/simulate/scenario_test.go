package simulate

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/testkit"
)

// scenarios are some of every kind, small.
func scenarios(t *testing.T, seed uint64) map[string]Scenario {
	t.Helper()
	all := map[string]Scenario{}
	for _, exporters := range []int{1, 2, 3, 6} {
		cfg := DefaultTalk()
		cfg.Seed, cfg.Exporters, cfg.Duration = seed, exporters, 40*time.Second
		s, err := NewTalk(cfg)
		if err != nil {
			t.Fatal(err)
		}
		all[fmt.Sprintf("talk-%d", exporters)] = s
	}
	for _, p := range []Protocol{NetFlow5, NetFlow9, IPFIX} {
		for _, exporters := range []int{1, 3} {
			cfg := DefaultLoad()
			cfg.Seed, cfg.Protocol, cfg.Exporters, cfg.Records, cfg.Rate = seed, p, exporters, 4001, 500
			s, err := NewLoad(cfg)
			if err != nil {
				t.Fatal(err)
			}
			all[fmt.Sprintf("load-%s-%d", p, exporters)] = s
		}
	}
	return all
}

// TestSameSeedSameBytes: everything follows from the seed.
func TestSameSeedSameBytes(t *testing.T) {
	again, other := scenarios(t, 1), scenarios(t, 2)
	for name, s := range scenarios(t, 1) {
		first := playAll(t, s).raw
		if !bytes.Equal(first, playAll(t, again[name]).raw) {
			t.Errorf("%s: the same seed gave other bytes", name)
		}
		if bytes.Equal(first, playAll(t, other[name]).raw) {
			t.Errorf("%s: another seed gave the same bytes", name)
		}
	}
}

// point is an observation point.
type point struct {
	exporter int
	egress   bool
}

// seen is what an observation point reported of one conversation.
type seen struct{ there, back volume }

type volume struct{ packets, bytes uint64 }

// TestEveryPointTellsTheTruth: whatever observation point reports a
// conversation at all reports its packets and bytes of both directions, no
// more and no less; and as many exporters report it as the truth says.
func TestEveryPointTellsTheTruth(t *testing.T) {
	for name, s := range scenarios(t, 3) {
		t.Run(name, func(t *testing.T) {
			p := playAll(t, s)
			want := map[flow.ConvKey]*Truth{}
			for i := range p.truths {
				c := &p.truths[i]
				k := flow.Key{Src: c.Client, Dst: c.Server, Proto: c.Proto}
				conv, _ := k.Conversation()
				if want[conv] != nil {
					t.Errorf("two conversations of %v", conv)
				}
				want[conv] = c
			}
			reported := map[flow.ConvKey]map[point]*seen{}
			for i, d := range p.exporters {
				for _, r := range d.records {
					addUp(t, reported, want, point{i, r.Egress}, &r)
				}
			}
			for conv, c := range want {
				checkTruth(t, c, reported[conv])
			}
		})
	}
}

// addUp adds a record to what its observation point said.
func addUp(t *testing.T, reported map[flow.ConvKey]map[point]*seen, want map[flow.ConvKey]*Truth, at point, r *Record) {
	k := r.Key
	if !flow.HasPorts(k.Proto) {
		k.Src.Port, k.Dst.Port = 0, 0
	}
	conv, _ := k.Conversation()
	c := want[conv]
	if c == nil {
		t.Errorf("a record of %v, of which the truth knows nothing", conv)
		return
	}
	if reported[conv] == nil {
		reported[conv] = map[point]*seen{}
	}
	s := reported[conv][at]
	if s == nil {
		s = &seen{}
		reported[conv][at] = s
	}
	v := &s.there
	if k.Src == c.Server {
		v = &s.back
	}
	v.packets += r.Packets
	v.bytes += r.Bytes
}

func checkTruth(t *testing.T, c *Truth, points map[point]*seen) {
	want := seen{volume{c.ClientPackets, c.ClientBytes}, volume{c.ServerPackets, c.ServerBytes}}
	exporters := map[int]bool{}
	for at, got := range points {
		exporters[at.exporter] = true
		if *got != want {
			t.Errorf("%s: point %v says %v, want %v", c.AppendJSON(nil), at, *got, want)
		}
	}
	if len(exporters) != c.Exporters {
		t.Errorf("%s: %d exporters say so", c.AppendJSON(nil), len(exporters))
	}
}

// TestSummaryCounts: the summary says what was sent.
func TestSummaryCounts(t *testing.T) {
	for name, s := range scenarios(t, 4) {
		p := playAll(t, s)
		if p.summary.Conversations != uint64(len(p.truths)) {
			t.Errorf("%s: %d conversations in the summary, %d in the truth", name, p.summary.Conversations, len(p.truths))
		}
		for i, d := range p.exporters {
			if got := p.summary.Exporters[i].Records; got != uint64(len(d.records)) {
				t.Errorf("%s: %d records of %s in the summary, %d sent", name, got, d.cfg.Name, len(d.records))
			}
			if d.cfg.Protocol != NetFlow5 && d.options == 0 {
				t.Errorf("%s: %s sent no options", name, d.cfg.Name)
			}
		}
	}
}

// TestErrorEndsTheRun: what a receiver says goes up.
func TestErrorEndsTheRun(t *testing.T) {
	stop := errors.New("enough")
	for name, s := range scenarios(t, 5) {
		n := 0
		_, err := s.Run(Output{Datagram: func(Datagram) error {
			n++
			if n == 3 {
				return stop
			}
			return nil
		}})
		if !errors.Is(err, stop) || n != 3 {
			t.Errorf("%s: %v after %d datagrams", name, err, n)
		}
	}
}

func TestValidate(t *testing.T) {
	talk := func(change func(*TalkConfig), want string) {
		t.Helper()
		c := DefaultTalk()
		change(&c)
		if _, err := NewTalk(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want something about %q", err, want)
		}
	}
	talk(func(c *TalkConfig) { c.Duration = time.Second }, "20s")
	talk(func(c *TalkConfig) { c.Hosts = 0 }, "1 to 400")
	talk(func(c *TalkConfig) { c.Exporters = 17 }, "1 to 16")
	load := func(change func(*LoadConfig), want string) {
		t.Helper()
		c := DefaultLoad()
		change(&c)
		if _, err := NewLoad(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want something about %q", err, want)
		}
	}
	load(func(c *LoadConfig) { c.Records = 0 }, "1000000")
	load(func(c *LoadConfig) { c.Rate = 0 }, "50000")
	load(func(c *LoadConfig) { c.Protocol = "v8" }, "v5, v9 or ipfix")
	load(func(c *LoadConfig) { c.Exporters = 0 }, "1 to 64")
}

func TestTruthLine(t *testing.T) {
	c := Truth{
		Client: flow.Endpoint{Addr: officeAddr(1, 57), Port: 50000}, Server: flow.Endpoint{Addr: siteAddr6(3), Port: 443},
		Proto: 6, Totals: Totals{Start: 1772442000_000042000, End: 1772442001_500042999, ClientPackets: 3, ClientBytes: 180, ServerPackets: 2, ServerBytes: 96}, Exporters: 2,
	}
	want := `{"ts":1772442000.000042,"dur":1.500000,"proto":6,"client":"10.20.1.57","cport":50000,` +
		`"server":"2001:db8:ffff:4::d","sport":443,"cpk":3,"cby":180,"spk":2,"sby":96,"exporters":2}` + "\n"
	if diff := cmp.Diff(string(c.AppendJSON(nil)), want); diff != "" {
		t.Errorf("truth line (-got, +want)\n%s", diff)
	}
}

// TestPure: no clock, no chance but the seed's, no goroutines.
func TestPure(t *testing.T) {
	testkit.Pure(t, ".", "math/rand/v2", "io", "net", "net/netip", "encoding/json", "github.com/gopacket/gopacket", "github.com/gopacket/gopacket/")
}
