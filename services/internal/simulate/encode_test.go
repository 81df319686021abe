package simulate

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowledger/flowledger/services/internal/flow"
)

var epoch = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC).UnixNano()

func exporterOf(p Protocol) ExporterConfig {
	return ExporterConfig{
		Name: string(p), Addr: netip.MustParseAddr("10.20.255.1"), Protocol: p, Domain: 7,
		Boot: epoch - int64(30*24*time.Hour), Active: time.Minute, Inactive: 15 * time.Second,
		TemplateRefresh: time.Minute, FlushAfter: time.Second, Ingress: true,
		Interfaces: []Interface{{1, "inside"}, {2, "a name that is longer than the field"}},
	}
}

func someRecords() []Record {
	ep := func(a flow.Addr, p uint16) flow.Endpoint { return flow.Endpoint{Addr: a, Port: p} }
	user, web := officeAddr(1, 57), siteAddr(9)
	user6, web6 := officeAddr6(1, 57), siteAddr6(9)
	return []Record{
		{Key: flow.Key{Src: ep(user, 50001), Dst: ep(web, 443), Proto: 6}, Start: epoch + 5e6, End: epoch + 77e6,
			Packets: 12, Bytes: 3456, In: 10, Out: 1, TOS: 0x28, Flags: syn | ack | fin, Reason: endOfFlow},
		{Key: flow.Key{Src: ep(web, 443), Dst: ep(user, 50001), Proto: 6}, Start: epoch + 6e6, End: epoch + 78e6,
			Packets: 4_000_000, Bytes: 4_100_000_000, In: 1, Out: 10, Flags: syn | ack, Reason: endActive},
		{Key: flow.Key{Src: ep(user, 0), Dst: ep(web, 8<<8), Proto: 1}, Start: epoch, End: epoch, Packets: 1, Bytes: 84, Reason: endIdle},
		{Key: flow.Key{Src: ep(user6, 50002), Dst: ep(web6, 443), Proto: 17}, Start: epoch + 1e6, End: epoch + 2e6,
			Packets: 2, Bytes: 200, In: 10, Out: 1, Egress: true, Reason: endIdle},
		{Key: flow.Key{Src: ep(user6, 0), Dst: ep(web6, 128<<8), Proto: 58}, Start: epoch, End: epoch, Packets: 1, Bytes: 104, Reason: endIdle},
	}
}

// TestFieldsComeBack: an independent decoder reads what was put in, so far as
// the protocol can say it.
func TestFieldsComeBack(t *testing.T) {
	for _, p := range []Protocol{NetFlow5, NetFlow9, IPFIX} {
		t.Run(string(p), func(t *testing.T) {
			cfg := exporterOf(p)
			cfg.Skew = 250 * time.Millisecond
			d := newDecoded(t, &cfg)
			var got []Record
			x := newExporter(cfg, 0, epoch, 1, func(dg Datagram) { got = append(got, d.take(dg.Payload)...) })
			x.advance(epoch)
			var want []Record
			for _, r := range someRecords() {
				if !x.reports(r.is4()) {
					continue
				}
				x.export(epoch+1e9, &r)
				want = append(want, asReported(r, &cfg))
			}
			x.advance(epoch + 3e9)
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("records (-got, +want)\n%s", diff)
			}
			if p != NetFlow5 && d.options != 3 {
				t.Errorf("%d options records, want the sampling's and two names", d.options)
			}
		})
	}
}

// asReported is what a record becomes by the exporter's clock and protocol.
func asReported(r Record, cfg *ExporterConfig) Record {
	r.Start, r.End = cfg.clock(r.Start), cfg.clock(r.End)
	if cfg.Protocol != IPFIX {
		r.Reason = 0
	}
	if cfg.Protocol == NetFlow5 {
		r.Egress = false
	}
	return r
}

// TestFullDatagrams: datagrams are filled as far as a frame allows and no
// further, whatever the mix of IPv4 and IPv6.
func TestFullDatagrams(t *testing.T) {
	atLeast := map[Protocol]int{NetFlow5: 30, NetFlow9: 29, IPFIX: 22}
	for p, least := range atLeast {
		for mix := range 3 {
			cfg := exporterOf(p)
			d := newDecoded(t, &cfg)
			sizes := []int{}
			x := newExporter(cfg, 0, epoch, 1, func(dg Datagram) { sizes = append(sizes, len(d.take(dg.Payload))) })
			x.advance(epoch)
			records := someRecords()
			for i := range 1000 {
				r := records[0]
				if mix > 0 && i%mix == 0 && p != NetFlow5 {
					r = records[3]
				}
				x.export(epoch, &r)
			}
			full := sizes[len(sizes)-1]
			if mix == 0 && full < least {
				t.Errorf("%s: %d records in a full datagram, want %d", p, full, least)
			}
		}
	}
}

// TestUptimeWraps: sysUptime passes 2^32 ms while a flow is open.
func TestUptimeWraps(t *testing.T) {
	cfg := exporterOf(NetFlow5)
	cfg.Boot = epoch + 2e9 - int64(1<<32)*1e6 // wraps two seconds after the epoch
	d := newDecoded(t, &cfg)
	var got []Record
	x := newExporter(cfg, 0, epoch, 1, func(dg Datagram) { got = append(got, d.take(dg.Payload)...) })
	r := someRecords()[0]
	r.Start, r.End = epoch+1e9, epoch+3e9
	x.export(epoch+4e9, &r)
	x.advance(epoch + 9e9)
	if len(got) != 1 || got[0].Start != r.Start || got[0].End != r.End {
		t.Errorf("got %v, want %v", got, r)
	}
}

// TestSamplingIsSaid: v5 in its header.
func TestSamplingIsSaid(t *testing.T) {
	cfg := exporterOf(NetFlow5)
	cfg.Sampling = 100
	e := newNetflow5(&cfg)
	e.add(&someRecords()[0])
	b := e.flush(epoch)
	if mode, rate := b[22]>>6, int(b[22]&0x3f)<<8|int(b[23]); mode != 1 || rate != 100 {
		t.Errorf("mode %d, rate %d", mode, rate)
	}
}
