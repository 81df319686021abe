package prepare

import (
	"math/rand/v2"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/dedup/merge"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/simulate"
	"github.com/flowledger/flowledger/services/stitch/biflow"
)

// play lets a path's conversations pass and returns what was reported, by time
// of reception, and what is true.
func play(t testing.TB, cfg simulate.PathConfig) (reports []*flowv1.Flow, truths []simulate.Truth) {
	t.Helper()
	cfg.Protocols = []simulate.Protocol{simulate.Reports}
	p, err := simulate.NewPath(cfg)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Run(simulate.Output{
		Datagram: func(d simulate.Datagram) error {
			fs, err := simulate.DecodeReports(d)
			reports = append(reports, fs...)
			return err
		},
		Truth: func(c *simulate.Truth) error {
			truths = append(truths, *c)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return reports, truths
}

// chain is dedup and stitch as they run one after the other.
type chain struct {
	window *merge.Window
	table  *biflow.Table
	last   eventtime.Tick
	now    []*flowv1.Flow // what dedup said in this tick
	// flow and update get what comes out; valid during the call.
	flow   func(*flowv1.Flow)
	update func(*flowv1.Biflow)
	// log is all that came out, as it goes on the wire.
	log []byte
}

func newChain(dedup merge.Config, stitch biflow.Config) *chain {
	return &chain{window: merge.New(dedup), table: biflow.New(stitch), flow: func(*flowv1.Flow) {}, update: func(*flowv1.Biflow) {}}
}

// run feeds reports, each in the tick of its reception, and ends the timeline.
// The reports may come in any order; cut, if not negative, is the number of the
// report before which the chain is put into snapshots and restored.
func (c *chain) run(t testing.TB, dedup merge.Config, stitch biflow.Config, reports []*flowv1.Flow, cut int) {
	t.Helper()
	reports = slices.Clone(reports)
	flow.SortRaw(reports)
	for at := 0; at < len(reports); {
		tick := eventtime.TickOf(reports[at].TimeReceivedNs)
		c.idle(tick)
		n := at
		for n < len(reports) && eventtime.TickOf(reports[n].TimeReceivedNs) == tick {
			n++
		}
		if at <= cut && cut < n {
			c.restore(t, dedup, stitch)
		}
		c.tick(tick, reports[at:n])
		at = n
	}
	c.end()
}

// idle runs the ticks before next at which a stage has a timer.
func (c *chain) idle(next eventtime.Tick) {
	for {
		due := min(c.window.NextTimer(), c.table.NextTimer())
		if due >= next {
			return
		}
		c.tick(max(due, c.last+1), nil)
	}
}

func (c *chain) tick(tick eventtime.Tick, in []*flowv1.Flow) {
	c.last = tick
	c.now = c.now[:0]
	if len(in) > 0 || c.window.NextTimer() <= tick {
		c.window.Tick(tick, in, c.keep)
	}
	c.stitch(tick)
}

func (c *chain) keep(f *flowv1.Flow) { c.now = append(c.now, f) }

func (c *chain) stitch(tick eventtime.Tick) {
	flow.SortDeduped(c.now)
	for _, f := range c.now {
		c.log = flow.AppendDelimited(c.log, f)
		c.flow(f)
	}
	if len(c.now) == 0 && c.table.NextTimer() > tick {
		return
	}
	c.say(func(emit func(*flowv1.Biflow)) { c.table.Tick(tick, c.now, emit) })
}

// say puts what the table says into its order and passes it on.
func (c *chain) say(step func(emit func(*flowv1.Biflow))) {
	var out []*flowv1.Biflow
	step(func(b *flowv1.Biflow) { out = append(out, proto.Clone(b).(*flowv1.Biflow)) })
	flow.SortBiflows(out)
	for _, b := range out {
		c.log = flow.AppendDelimited(c.log, b)
		c.update(b)
	}
}

func (c *chain) end() {
	end := c.last + 1
	c.idle(end)
	c.now = c.now[:0]
	c.window.End(end, c.keep)
	c.stitch(end)
	c.say(func(emit func(*flowv1.Biflow)) { c.table.End(end+1, emit) })
}

// restore goes on with fresh stages that take over from snapshots.
func (c *chain) restore(t testing.TB, dedup merge.Config, stitch biflow.Config) {
	t.Helper()
	window, table := merge.New(dedup), biflow.New(stitch)
	if err := window.Restore(c.window.AppendSnapshot(nil)); err != nil {
		t.Fatal(err)
	}
	if err := table.Restore(c.table.AppendSnapshot(nil)); err != nil {
		t.Fatal(err)
	}
	c.window, c.table = window, table
}

// conversation identifies a conversation; who is the client does not matter.
type conversation struct {
	low, high flow.Endpoint
	proto     uint8
}

// conversationOf is that of a client and a server; low tells whether the client
// is the lower end.
func conversationOf(client, server flow.Endpoint, proto uint8) (c conversation, low bool) {
	if client.Compare(&server) <= 0 {
		return conversation{client, server, proto}, true
	}
	return conversation{server, client, proto}, false
}

// volume is what both ends sent: index 0 is the lower end.
type volume struct {
	bytes, packets [2]uint64
}

func (v *volume) add(low bool, clientBytes, clientPackets, serverBytes, serverPackets uint64) {
	client, server := 0, 1
	if !low {
		client, server = 1, 0
	}
	v.bytes[client] += clientBytes
	v.packets[client] += clientPackets
	v.bytes[server] += serverBytes
	v.packets[server] += serverPackets
}

func (v volume) total() uint64 { return v.bytes[0] + v.bytes[1] }

// volumes are the volumes of conversations.
type volumes map[conversation]volume

func (vs volumes) add(client, server flow.Endpoint, proto uint8, cb, cp, sb, sp uint64) {
	c, low := conversationOf(client, server, proto)
	v := vs[c]
	v.add(low, cb, cp, sb, sp)
	vs[c] = v
}

func (vs volumes) total() (sum uint64) {
	for _, v := range vs {
		sum += v.total()
	}
	return sum
}

// volumesOf adds up what is true.
func volumesOf(truths []simulate.Truth) volumes {
	vs := volumes{}
	for i := range truths {
		t := &truths[i]
		vs.add(t.Client, t.Server, t.Proto, t.ClientBytes, t.ClientPackets, t.ServerBytes, t.ServerPackets)
	}
	return vs
}

// addBiflow takes a conversation's last version into a ledger's volumes.
func (vs volumes) addBiflow(b *flowv1.Biflow) {
	if b.CloseReason == flowv1.CloseReason_CLOSE_REASON_UNSPECIFIED {
		return
	}
	client := flow.Endpoint{Addr: flow.AddrFrom(b.ClientAddr), Port: uint16(b.ClientPort)}
	server := flow.Endpoint{Addr: flow.AddrFrom(b.ServerAddr), Port: uint16(b.ServerPort)}
	vs.add(client, server, uint8(b.Proto), b.ClientBytes, b.ClientPackets, b.ServerBytes, b.ServerPackets)
}

// ledger is what dedup and stitch make of reports.
func ledger(t testing.TB, dedup merge.Config, reports []*flowv1.Flow) volumes {
	t.Helper()
	vs := volumes{}
	c := newChain(dedup, biflow.Default())
	c.update = vs.addBiflow
	c.run(t, dedup, biflow.Default(), reports, -1)
	return vs
}

// pick is one of some values.
func pick[T any](rng *rand.Rand, values ...T) T { return values[rng.IntN(len(values))] }
