package prepare

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/dedup/merge"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/pipeline"
	"github.com/flowledger/flowledger/services/internal/simulate"
	"github.com/flowledger/flowledger/services/internal/testkit"
)

// clients tells who the client of a tuple truly is; where both ends have been,
// it cannot be held against anything, and is left out.
type clients map[conversation]flow.Endpoint

func clientsOf(truths []testkit.Truth) clients {
	cs, both := clients{}, map[conversation]bool{}
	for _, c := range truths {
		client, server := endpoint(c.Client, c.Cport), endpoint(c.Server, c.Sport)
		if flow.IsICMP(uint8(c.Proto)) {
			client.Port, server.Port = 0, 0
		}
		k, _ := conversationOf(client, server, uint8(c.Proto))
		if was, ok := cs[k]; ok && was != client {
			both[k] = true
		}
		cs[k] = client
	}
	for k := range both {
		delete(cs, k)
	}
	return cs
}

func endpoint(a netip.Addr, port uint32) flow.Endpoint {
	return flow.Endpoint{Addr: flow.AddrFrom(a.AsSlice()), Port: uint16(port)}
}

// bucket counts conversations of about the same confidence.
type bucket struct {
	from         float32
	total, right int
}

// verdicts are how often the ledger is right about the client.
type verdicts struct {
	total, right int
	byConfidence []bucket
}

func newVerdicts() *verdicts {
	v := &verdicts{}
	for _, from := range []float32{.5, .6, .75, .85, .9, .95} {
		v.byConfidence = append(v.byConfidence, bucket{from: from})
	}
	return v
}

// judge holds last versions against who the clients are.
func (v *verdicts) judge(t *testing.T, last []*flowv1.Biflow, cs clients) {
	wrong := 0
	for _, b := range last {
		client := flow.Endpoint{Addr: flow.AddrFrom(b.ClientAddr), Port: uint16(b.ClientPort)}
		server := flow.Endpoint{Addr: flow.AddrFrom(b.ServerAddr), Port: uint16(b.ServerPort)}
		k, _ := conversationOf(client, server, uint8(b.Proto))
		truth, ok := cs[k]
		if !ok {
			continue
		}
		v.total++
		at := 0
		for i := range v.byConfidence {
			if b.InitiatorConfidence >= v.byConfidence[i].from-.001 {
				at = i
			}
		}
		v.byConfidence[at].total++
		if truth == client {
			v.right++
			v.byConfidence[at].right++
		} else if wrong++; wrong <= 3 {
			t.Logf("wrong: %s:%d > %s:%d proto %d, %s %.2f, flags %02x %02x, segments %d", client.Addr.Netip(), client.Port, server.Addr.Netip(),
				server.Port, b.Proto, b.InitiatorEvidence, b.InitiatorConfidence, b.ClientTcpFlags, b.ServerTcpFlags, b.Segments)
		}
	}
}

func (v *verdicts) share() float64 { return 100 * float64(v.right) / float64(max(1, v.total)) }

// TestClientAndServer measures how often the ledger is right about who the
// client is, and whether it is right as often as it says.
func TestClientAndServer(t *testing.T) {
	rows := [][]string{{"traffic", "conversations", "client right", "goal"}}
	calibration := newVerdicts()
	add := func(name string, v *verdicts, goal float64) {
		if v.share() < goal {
			t.Errorf("%s: the client is right in %.3f %% of %d, at least %.1f %% must be", name, v.share(), v.total, goal)
		}
		aim := "-"
		if goal > 0 {
			aim = fmt.Sprintf("%.1f %%", goal)
		}
		rows = append(rows, []string{name, fmt.Sprint(v.total), fmt.Sprintf("%.2f %%", v.share()), aim})
		for i := range v.byConfidence {
			calibration.byConfidence[i].total += v.byConfidence[i].total
			calibration.byConfidence[i].right += v.byConfidence[i].right
		}
	}
	for _, c := range []struct {
		name   string
		change func(*simulate.PathConfig)
		goal   float64
	}{
		{"1 exporter, header times of whole seconds", func(c *simulate.PathConfig) { c.Hops = 1 }, 99.9},
		{"1 exporter, header times of whole seconds, its uptime gains 50 ppm, 2 h", func(c *simulate.PathConfig) {
			c.Hops, c.Duration, c.Drift = 1, 2*time.Hour, []float64{50}
		}, 99.9},
		{"2 exporters, clocks 2 s apart, header times of whole seconds", func(c *simulate.PathConfig) {
			c.Skew = []time.Duration{0, 2 * time.Second}
		}, 99.9},
		{"3 exporters, clocks up to 3 s apart, the second translates addresses", func(c *simulate.PathConfig) {
			c.Hops, c.NAT, c.Skew = 3, 2, []time.Duration{0, 2 * time.Second, -time.Second}
		}, 99.9},
		{"2 exporters 2 s apart, the way back sees only the second", func(c *simulate.PathConfig) {
			c.Hops, c.Asymmetric, c.Skew = 1, 1, []time.Duration{0, 2 * time.Second}
		}, 0},
		{"2 exporters 2 s apart, the way back sees only the second, whose clock is behind", func(c *simulate.PathConfig) {
			c.Hops, c.Asymmetric, c.Skew = 1, 1, []time.Duration{0, -2 * time.Second}
		}, 0},
		{"2 exporters, 1:100 sampled", func(c *simulate.PathConfig) { c.Sampling = []uint32{100} }, 0},
	} {
		cfg := simulate.DefaultPath()
		cfg.Conversations, cfg.Hops, cfg.Longest = 10_000, 2, 10*time.Minute
		cfg.Active, cfg.Protocols = []time.Duration{time.Minute}, []simulate.Protocol{simulate.NetFlow9}
		c.change(&cfg)
		last, truths := throughPipeline(t, cfg, merge.Default())
		v := newVerdicts()
		v.judge(t, last, clientsOf(asTruths(t, truths)))
		add("simulated: "+c.name, v, c.goal)
	}
	for _, name := range []string{
		"traffic/internet_morning", "traffic/campus_mixed", "traffic/portscan_vertical",
		"attacks/nmap_syn", "attacks/syn_scan", "attacks/ssh_normal", "attacks/ssh_guess",
		"attacks/ftp_bruteforce", "attacks/njrat", "attacks/office_day",
	} {
		truths := testkit.ReadTruth(t, testkit.Data(t, name+".truth.jsonl.gz"))
		v := newVerdicts()
		v.judge(t, captured(t, testkit.Data(t, name+".pcap.gz")), clientsOf(truths))
		add(name, v, 99.5)
	}
	checkTable(t, "direction", rows)
	table := [][]string{{"confidence said", "conversations", "client right"}}
	sure, right := 0, 0
	for i, b := range calibration.byConfidence {
		to := "1"
		if i+1 < len(calibration.byConfidence) {
			to = fmt.Sprintf("%.2f", calibration.byConfidence[i+1].from)
		}
		share := "-"
		if b.total > 0 {
			share = fmt.Sprintf("%.2f %%", 100*float64(b.right)/float64(b.total))
		}
		table = append(table, []string{fmt.Sprintf("%.2f to %s", b.from, to), fmt.Sprint(b.total), share})
		if b.from >= .9 {
			sure, right = sure+b.total, right+b.right
		}
	}
	if float64(right) < .9*float64(sure) {
		t.Errorf("of %d that are said to be at least 0.9 sure, %d are right", sure, right)
	}
	checkTable(t, "calibration", table)
}

// captured is the ledger of a capture: last versions.
func captured(t *testing.T, path string) (last []*flowv1.Biflow) {
	t.Helper()
	p, err := pipeline.New(pipeline.Default(), pipeline.Observer{Update: func(b *flowv1.Biflow) {
		if b.CloseReason != flowv1.CloseReason_CLOSE_REASON_UNSPECIFIED {
			last = append(last, proto.Clone(b).(*flowv1.Biflow))
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := pipeline.ReadCapture(path, p.Datagram); err != nil {
		t.Fatal(err)
	}
	p.End()
	return last
}
