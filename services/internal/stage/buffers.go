package stage

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/flowledger/flowledger/services/internal/stage/wire"
)

// bufferPool keeps memory that was touched already to be used again: a page that is
// touched for the first time costs the kernel more than all that is written to it.
// Unlike a sync.Pool it is not emptied by the collector, and holds a bounded amount.
// Sizes are powers of two from 4 KiB on.
type bufferPool struct {
	mu   sync.Mutex
	free [bufferClasses][][]byte
	kept int
	// spoil overwrites what is put back: in tests, whoever still uses it shows.
	spoil bool
}

const (
	leastBuffer   = 12 // 4 KiB
	bufferClasses = 13 // the last is of 16 MiB
	// poolBytes bounds what lies in the pool.
	poolBytes = 32 << 20
)

// buffers is the pool of the process.
var buffers bufferPool

// get gives an empty buffer with room for n bytes.
func (p *bufferPool) get(n int) []byte {
	class := max(0, bits.Len(uint(max(n, 1)-1))-leastBuffer)
	if class >= bufferClasses {
		return make([]byte, 0, n)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.free[class]
	if k := len(list); k > 0 {
		b := list[k-1]
		list[k-1] = nil
		p.free[class] = list[:k-1]
		p.kept -= cap(b)
		return b
	}
	return make([]byte, 0, 1<<(class+leastBuffer))
}

// put takes a buffer back that nobody uses any more.
func (p *bufferPool) put(b []byte) {
	class := bits.Len(uint(cap(b))) - 1 - leastBuffer
	if class < 0 || class >= bufferClasses {
		return
	}
	if p.spoil {
		b = b[:cap(b)]
		for i := range b {
			b[i] = 0xa5
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kept+cap(b) <= poolBytes {
		p.kept += cap(b)
		p.free[class] = append(p.free[class], b[:0])
	}
}

// page is memory that several messages of a log lie in; it is used again when none is
// needed any more. A message without a page is in nobody's memory but its own.
type page struct {
	b    []byte
	refs atomic.Int32
}

// release takes one message's claim back.
func (p *page) release() {
	if p != nil && p.refs.Add(-1) == 0 {
		buffers.put(p.b)
	}
}

// requestPool keeps produce requests: not their memory, which is of the pool of buffers, but
// their compressors. There are as many lanes as a stage has partitions on both sides, of
// which few write at a time.
type requestPool struct {
	mu   sync.Mutex
	free []*wire.Produce
}

// keepRequests bounds what lies in the pool.
const keepRequests = 16

// requests is the pool of the process.
var requests requestPool

func (p *requestPool) get() *wire.Produce {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.free)
	if n == 0 {
		return &wire.Produce{Get: buffers.get, Put: buffers.put}
	}
	r := p.free[n-1]
	p.free[n-1] = nil
	p.free = p.free[:n-1]
	return r
}

// put takes a request back that was answered.
func (p *requestPool) put(r *wire.Produce) {
	r.Done()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) < keepRequests {
		p.free = append(p.free, r)
	}
}
