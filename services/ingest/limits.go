package main

import (
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/flowledger/flowledger/services/internal/netset"
)

// refusal is why something was not let in.
type refusal uint8

const (
	// admitted: it is let in.
	admitted refusal = iota
	// notAllowed: the address is outside allow.
	notAllowed
	// tooFast: the source sends more than limits allow one source.
	tooFast
	// tooManyNew: more unknown sources came at a time than limits let in.
	tooManyNew
	// tooManySources: all places are taken by sources that were heard a moment ago.
	tooManySources
	// tooManyConnections: of streams, in total or of this source.
	tooManyConnections
	// badHandshake: TLS could not agree, or the certificate is none we trust.
	badHandshake
	refusals
)

// refusalNames are the values of the metrics' label.
var refusalNames = [refusals]string{
	"", "not_allowed", "rate", "new_sources", "sources", "connections", "tls",
}

// gate decides who may send, and how much:
//
//	datagram ─▶ in allow? ─▶ known source? ─▶ within its rate? ─▶ queue
//	              │no            │no: room, and not too many at a time?
//	              ╰──────────────┴──────────────┴─▶ counted by reason and source
//
// A source can be anybody who writes an address into a packet: whatever they
// write, the gate takes bounded memory and constant time.
type gate struct {
	allow   *netset.Set
	sources *sources // nil where there is nothing to hold them to
	clock   func() uint64
	refused [refusals]*topCounter
}

// newGate makes the gate of all sockets. Newcomers is how many unknown sources may
// come at once: with that half of what a decoder has room for, and the rate at its
// default, it always has room for more, since it gives up those who were heard for a
// moment only after little more than a minute.
func newGate(allow netset.List, cfg limitsConfig, newcomers int, m *metrics, r prometheus.Registerer) *gate {
	g := &gate{allow: netset.New(allow), clock: monotonic(), refused: m.refused}
	if cfg.tracks() {
		g.sources = newSources(cfg, newcomers)
		g.sources.watch(r)
	}
	return g
}

// monotonic is a clock that nobody sets: nanoseconds since now, and one second, so
// that 0 is before.
func monotonic() func() uint64 {
	start := time.Now().Add(-time.Second)
	return func() uint64 { return uint64(time.Since(start)) }
}

// admit tells whether a datagram may come in, and counts it if not. The address is
// unmapped and without a zone.
func (g *gate) admit(from netip.Addr, bytes int) bool {
	why := admitted
	switch {
	case !g.allow.Contains(from):
		why = notAllowed
	case g.sources != nil:
		why = g.sources.admit(from, bytes, g.clock())
	}
	return why == admitted || g.refuse(from, why)
}

// knock is admit for a connection, before anything was read of it.
func (g *gate) knock(from netip.Addr) bool {
	why := admitted
	switch {
	case !g.allow.Contains(from):
		why = notAllowed
	case g.sources != nil:
		why = g.sources.meet(from, g.clock())
	}
	return why == admitted || g.refuse(from, why)
}

// pace books a message that has been read from a connection, and tells how long to
// read no further. What comes by a stream is slowed down, not refused.
func (g *gate) pace(from netip.Addr, bytes int) time.Duration {
	if g.sources == nil {
		return 0
	}
	return g.sources.pace(from, bytes, g.clock())
}

// refuse counts a refusal, and is false.
func (g *gate) refuse(from netip.Addr, why refusal) bool {
	g.refused[why].add(from)
	return false
}
