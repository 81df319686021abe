package merge

import (
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/netset"
)

// topology is what the configuration says of exporters.
type topology struct {
	groups []Group
	split  netset.List
	ports  netset.List
	// known are the answers so far.
	known map[flow.Addr]place
}

// place is what the topology says of an exporter.
type place struct {
	sampler flow.Addr
	// split by domains, by interfaces.
	split, ports bool
}

// newTopology is nil where nothing is out of the ordinary.
func newTopology(cfg Config) *topology {
	if len(cfg.Groups)+len(cfg.SplitDomains)+len(cfg.SplitInterfaces) == 0 {
		return nil
	}
	return &topology{groups: cfg.Groups, split: cfg.SplitDomains, ports: cfg.SplitInterfaces, known: make(map[flow.Addr]place)}
}

func (t *topology) of(sampler flow.Addr) place {
	at, ok := t.known[sampler]
	if !ok {
		at = t.look(sampler)
		t.known[sampler] = at
	}
	return at
}

// forget forgets the answers; a nil topology has none.
func (t *topology) forget() {
	if t != nil {
		clear(t.known)
	}
}

func (t *topology) look(sampler flow.Addr) place {
	at, addr := place{sampler: sampler}, sampler.Netip()
	for _, g := range t.groups {
		if g.Exporters.Contains(addr) {
			at.sampler = flow.AddrFrom(g.Exporters[0].Addr().AsSlice())
			break
		}
	}
	at.split, at.ports = t.split.Contains(addr), t.ports.Contains(addr)
	return at
}
