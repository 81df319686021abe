package main

import (
	"fmt"
	"math"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

var sender = netip.MustParseAddrPort("192.0.2.1:4000")

// hands is a clock that a test sets.
type hands struct{ ns uint64 }

func (h *hands) read() uint64 { return h.ns }

func TestQueueRefusesWhatDoesNotFit(t *testing.T) {
	q := newQueue(&budget{limit: 3 * (100 + itemBytes)}, (&hands{ns: 1}).read)
	payload := make([]byte, 100)
	for i := range 3 {
		if !q.put(sender, payload) {
			t.Fatalf("datagram %d was refused", i)
		}
	}
	if q.put(sender, nil) {
		t.Error("a fourth datagram was taken")
	}
	var b batch
	q.take(&b)
	if len(b.items) != 3 || q.put(sender, payload) {
		t.Errorf("took %d; what the decoder holds counts until it comes back", len(b.items))
	}
	q.take(&b)
	if len(b.items) != 0 || !q.put(sender, payload) {
		t.Errorf("took %d; there is room again", len(b.items))
	}
}

func TestQueueWakesOnce(t *testing.T) {
	q := newQueue(&budget{limit: 1 << 20}, (&hands{ns: 1}).read)
	q.announce() // of nothing
	q.put(sender, []byte("a"))
	q.put(sender, []byte("b"))
	select {
	case <-q.wake:
		t.Error("woken before the announcement")
	default:
	}
	q.announce()
	q.announce()
	<-q.wake
	select {
	case <-q.wake:
		t.Error("woken twice")
	default:
	}
}

// TestQueueOrderAndTime: whatever the clock does, datagrams come out in the
// order they came in, with times that never fall, each before the horizon of the
// call that takes it and not before the horizon of the call before.
func TestQueueOrderAndTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &hands{}
		q := newQueue(&budget{limit: math.MaxInt}, h.read)
		q.batchBytes = rapid.IntRange(1, 10).Draw(t, "batch")
		var b batch
		var put, taken int
		var last, horizon uint64
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			h.ns = rapid.Uint64Range(0, 1000).Draw(t, "clock")
			if rapid.Bool().Draw(t, "put") {
				q.put(netip.AddrPortFrom(sender.Addr(), uint16(put)), fmt.Append(nil, put))
				put++
				continue
			}
			before := horizon
			var more bool
			horizon, more = q.take(&b)
			for i := range b.items {
				d := &b.items[i]
				if string(b.payload(d)) != fmt.Sprint(taken) || d.from.Port() != uint16(taken) {
					t.Fatalf("datagram %d holds %q", taken, b.payload(d))
				}
				if d.receivedNs < last || d.receivedNs < before || d.receivedNs > horizon {
					t.Fatalf("time %d after %d, between horizons %d and %d", d.receivedNs, last, before, horizon)
				}
				last = d.receivedNs
				taken++
			}
			if more != (taken < put) || taken+q.length() != put {
				t.Fatalf("%d in, %d out, %d wait, more: %v", put, taken, q.length(), more)
			}
		}
		for more := true; more; taken += len(b.items) {
			_, more = q.take(&b)
		}
		if taken != put || q.memory.used.Load() != int64(b.size()) {
			t.Fatalf("%d in, %d out, %d bytes in use", put, taken, q.memory.used.Load())
		}
	})
}

// TestBurst: a burst is kept in batches of one size, and leaves a bounded number of them behind.
func TestBurst(t *testing.T) {
	q := newQueue(&budget{limit: 1 << 30}, (&hands{ns: 1}).read)
	payload := make([]byte, 1400)
	for range 100 * batchBytes / len(payload) {
		q.put(sender, payload)
	}
	var b batch
	for more := true; more; {
		_, more = q.take(&b)
		if len(b.bytes) > batchBytes || cap(b.bytes) != batchBytes {
			t.Fatalf("a batch has %d bytes and room for %d", len(b.bytes), cap(b.bytes))
		}
	}
	if n := len(q.spare); n == 0 || n > spareBatches {
		t.Errorf("%d batches are kept", n)
	}
}

func TestPutDoesNotAllocate(t *testing.T) {
	q := newQueue(&budget{limit: 1 << 30}, (&hands{ns: 1}).read)
	payload := make([]byte, 1400)
	var b batch
	fill := func() {
		for range 100 {
			q.put(sender, payload)
		}
		q.take(&b)
	}
	fill()
	fill()
	if n := testing.AllocsPerRun(20, fill); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkQueue(b *testing.B) {
	h := &hands{ns: 1}
	q := newQueue(&budget{limit: 1 << 30}, h.read)
	payload := make([]byte, 1400)
	var taken batch
	b.SetBytes(int64(len(payload)))
	for i := range b.N {
		q.put(sender, payload)
		if i%256 == 255 {
			q.take(&taken)
		}
	}
}
