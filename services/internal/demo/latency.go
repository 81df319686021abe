package demo

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// watch remembers when each row was first there to be read.
type watch struct {
	now func() time.Time

	mu     sync.Mutex
	rows   map[string]sighting
	alerts map[string]sighting
}

// sighting is when something was first seen, and what it was then.
type sighting struct {
	at   time.Time
	conv flow.ConvKey // of a conversation
	host netip.Addr   // of an alert: the accused
	last int64        // of an alert: the last thing that belonged to it then
}

func newWatch(now func() time.Time) *watch {
	return &watch{now: now, rows: map[string]sighting{}, alerts: map[string]sighting{}}
}

// see notes what the ledger holds now.
func (w *watch) see(rows []conversation, alerts []alert) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := w.now()
	for i := range rows {
		if _, ok := w.rows[rows[i].ID]; !ok {
			r := &rows[i]
			w.rows[r.ID] = sighting{at: at, conv: convKey(r.Proto, r.Client, r.ClientPort, r.Server, r.ServerPort)}
		}
	}
	for i := range alerts {
		if _, ok := w.alerts[alerts[i].UID]; !ok {
			w.alerts[alerts[i].UID] = sighting{at: at, host: alerts[i].Host, last: alerts[i].Last}
		}
	}
}

// latencies are from the reception of a conversation's first datagram to its
// row, and from the reception of the conversation that tipped the scales to the
// finding; sorted.
func (w *watch) latencies(received map[flow.ConvKey]int64, rows []conversation) (toRow, toAlert []time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.rows {
		if at, ok := received[s.conv]; ok {
			toRow = append(toRow, s.at.Sub(time.Unix(0, at)))
		}
	}
	for _, s := range w.alerts {
		if at, ok := received[tipping(rows, s.host, s.last)]; ok {
			toAlert = append(toAlert, s.at.Sub(time.Unix(0, at)))
		}
	}
	slices.Sort(toRow)
	slices.Sort(toAlert)
	return toRow, toAlert
}

// tipping is the newest conversation of a client that began by a time.
func tipping(rows []conversation, client netip.Addr, by int64) (key flow.ConvKey) {
	newest := int64(-1)
	for i := range rows {
		if r := &rows[i]; r.Client == client && r.Start <= by && r.Start > newest {
			newest = r.Start
			key = convKey(r.Proto, r.Client, r.ClientPort, r.Server, r.ServerPort)
		}
	}
	return key
}

// quantile of sorted durations, by the nearest rank.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// convKey is a conversation's key, whichever way it is written.
func convKey(proto uint8, a netip.Addr, ap uint16, b netip.Addr, bp uint16) flow.ConvKey {
	k := flow.Key{Proto: proto, Src: endpoint(a, ap), Dst: endpoint(b, bp)}
	if !flow.HasPorts(proto) {
		k.Src.Port, k.Dst.Port = 0, 0
	}
	c, _ := k.Conversation()
	return c
}

func endpoint(a netip.Addr, port uint16) flow.Endpoint {
	return flow.Endpoint{Addr: flow.Addr(a.As16()), Port: port}
}
