package simulate

import "container/heap"

// outbox holds datagrams on their way to the collector, by time of arrival:
// exporters differ in delay. It owns copies of the payloads.
type outbox struct {
	flying flightHeap
	count  uint64
	free   [][]byte
	last   []byte // payload that was taken last, free once the next is taken
}

type flight struct {
	d     Datagram
	order uint64
}

// put takes a copy of a datagram.
func (o *outbox) put(d Datagram) {
	var buf []byte
	if n := len(o.free); n > 0 {
		buf, o.free = o.free[n-1], o.free[:n-1]
	}
	d.Payload = append(buf[:0], d.Payload...)
	o.count++
	heap.Push(&o.flying, flight{d, o.count})
}

// next is when the next datagram arrives, or never.
func (o *outbox) next() int64 {
	if len(o.flying) == 0 {
		return never
	}
	return o.flying[0].d.At
}

// take gives the next datagram; its payload is valid until the next take.
func (o *outbox) take() Datagram {
	if o.last != nil {
		o.free = append(o.free, o.last)
	}
	f := heap.Pop(&o.flying).(flight)
	o.last = f.d.Payload
	return f.d
}

// flightHeap orders datagrams by arrival (container/heap).
type flightHeap []flight

func (h flightHeap) Len() int { return len(h) }
func (h flightHeap) Less(i, j int) bool {
	if h[i].d.At != h[j].d.At {
		return h[i].d.At < h[j].d.At
	}
	return h[i].order < h[j].order
}
func (h flightHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push and Pop are for container/heap.
func (h *flightHeap) Push(x any) { *h = append(*h, x.(flight)) }

func (h *flightHeap) Pop() any {
	old := *h
	f := old[len(old)-1]
	*h = old[:len(old)-1]
	return f
}
