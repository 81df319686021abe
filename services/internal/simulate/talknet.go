package simulate

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// The talk's network. Access switches carry user networks, the core joins all,
// the edge leads outside:
//
//	users ── access ──╮
//	users ── access ──┤ core ── edge ── outside
//	servers ──────────╯
//
// The core meters on the way in and on the way out, so that one device holds
// two views of every packet; the others meter on the way in.

// Places of the exporters in the list, as far as it goes.
const (
	coreRouter  = 0
	firstAccess = 1
	edgeRouter  = 2
)

// Interface indices.
const (
	ifUplink  = 1 // access: to the core; core: to the edge; edge: to the core
	ifServers = 2 // core
	ifManage  = 3 // core
	ifOutside = 2 // edge
	ifUsers   = 10
)

// talkExporters describes the devices. Timeouts shrink with the story, so that
// a short one still has segments; they differ, as they do in life.
func talkExporters(c *TalkConfig) []ExporterConfig {
	all := make([]ExporterConfig, 0, c.Exporters)
	for i := range c.Exporters {
		x := ExporterConfig{
			Addr: netip.AddrFrom4([4]byte{10, 20, 255, byte(1 + i)}), Domain: uint32(1 + i),
			Boot:            c.Start.Add(-time.Duration(5+3*i) * 25 * time.Hour).UnixNano(),
			Active:          clamp(c.Duration/10, 5*time.Second, time.Minute),
			Inactive:        clamp(c.Duration/40, 2*time.Second, 15*time.Second),
			FlushAfter:      clamp(c.Duration/80, 300*time.Millisecond, time.Second),
			TemplateRefresh: clamp(c.Duration/10, 5*time.Second, time.Minute),
			Delay:           time.Duration(300+200*i) * time.Microsecond,
			Ingress:         true,
		}
		switch i {
		case coreRouter:
			x.Name, x.Protocol, x.Egress, x.Skew = "core", NetFlow9, true, -90*time.Millisecond
			x.Active *= 2
			x.Interfaces = coreInterfaces(c.nets())
		case edgeRouter:
			x.Name, x.Protocol = "edge", IPFIX
			x.Interfaces = []Interface{{ifUplink, "inside"}, {ifOutside, "outside"}}
		default:
			n := accessNumber(i)
			x.Name = fmt.Sprintf("access-%d", n)
			x.Protocol = []Protocol{NetFlow5, NetFlow9, IPFIX}[(n-1)%3]
			x.Skew = time.Duration(180+7*n) * time.Millisecond
			x.Interfaces = []Interface{{ifUplink, "uplink"}, {ifUsers, "users"}}
		}
		all = append(all, x)
	}
	return all
}

func clamp(d, low, high time.Duration) time.Duration { return max(low, min(d, high)) }

// accessNumber counts access switches from 1; switch n carries user network n.
func accessNumber(exporter int) int {
	if exporter == firstAccess {
		return 1
	}
	return exporter - 1
}

// accessExporter is the switch of a user network's zone, if it reports.
func accessExporter(z zone, exporters int) (int, bool) {
	n := (z.net + 1) / 2
	i := n + 1
	if n == 1 {
		i = firstAccess
	}
	return i, i < exporters
}

func coreInterfaces(nets int) []Interface {
	all := []Interface{{ifUplink, "edge"}, {ifServers, "servers"}, {ifManage, "management"}}
	for n := range nets {
		all = append(all, Interface{uint32(ifUsers + n), fmt.Sprintf("users-%d", n+1)})
	}
	return all
}

// coreInterface is where the core finds a zone.
func coreInterface(z zone) uint32 {
	switch {
	case !z.inside:
		return ifUplink
	case z.net == serverNet:
		return ifServers
	case z.net == manageNet:
		return ifManage
	}
	return uint32(ifUsers + (z.net-1)/2)
}

// talkRoute is the way through the first so many exporters.
func talkRoute(exporters int) Route {
	return func(hops []Hop, src, dst *flow.Addr) []Hop {
		from, to := zoneOf(src), zoneOf(dst)
		if from.inside && from == to && !from.userNet() {
			return hops // within the server room: nobody reports
		}
		if x, ok := accessExporter(from, exporters); ok && from.userNet() {
			out := uint32(ifUplink)
			if from == to {
				out = ifUsers
			}
			hops = append(hops, Hop{Exporter: x, In: ifUsers, Out: out})
		}
		if from == to && from.inside {
			return hops
		}
		if !from.inside && exporters > edgeRouter {
			hops = append(hops, Hop{Exporter: edgeRouter, In: ifOutside, Out: ifUplink})
		}
		hops = append(hops, Hop{Exporter: coreRouter, In: coreInterface(from), Out: coreInterface(to)})
		if !to.inside && exporters > edgeRouter {
			hops = append(hops, Hop{Exporter: edgeRouter, In: ifUplink, Out: ifOutside})
		}
		if x, ok := accessExporter(to, exporters); ok && to.userNet() {
			hops = append(hops, Hop{Exporter: x, In: ifUplink, Out: ifUsers})
		}
		return hops
	}
}
