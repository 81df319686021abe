// Package capture reads flow exports out of packet captures: pcap and pcapng
// files, plain, gzip or zstd, or standard input, several at once by time.
// pcapgo takes the files apart; the headers around a datagram are read by hand,
// since full decoding would cost more than all of what follows.
//
//	files ─▶ records ─▶ link ─▶ IP (fragments put together) ─▶ UDP ─▶ looks like an export? ─▶ Datagram
//	                     │                                  ╰─▶ TCP ─▶ in order, IPFIX? ─ each message ─▶
//	                     └── all else is skipped and counted by reason (Stats)
//
// Time is the capture's. Within a file it never runs backwards: a record that
// is older than the one before it keeps its place and takes that one's time,
// so that a file has one order only. Several files are merged by that time;
// at equal times the file named first goes first.
package capture

import (
	"container/heap"
	"errors"
	"io"
	"net/netip"
	"os"
)

// Datagram is one UDP datagram of a capture, or one IPFIX message of a TCP connection.
type Datagram struct {
	// Time of capture, nanoseconds since the epoch; never falls.
	Time uint64
	// Src is who sent it, Dst where to. IPv4 addresses are 4 bytes.
	Src, Dst netip.AddrPort
	// Payload is valid until the next call of Next.
	Payload []byte
	// Truncated tells that the capture kept only the front part of the payload.
	Truncated bool
	// Session is 0 for UDP, and else the number of the TCP connection, which no other
	// one has that is read with it. An empty Payload is its end.
	Session uint64
}

// Options choose the datagrams.
type Options struct {
	// Ports, if any, takes all datagrams to these UDP ports and no others, and IPFIX
	// over TCP to them.
	// Without it, whatever looks like NetFlow, IPFIX or sFlow is taken, on any port.
	Ports []uint16
	// Stdin is what "-" reads; nil is the process's standard input.
	Stdin io.Reader
}

// Stats counts the packets of a capture. Packets is the sum of Datagrams,
// Fragments, Segments, NotUDP, NotExport, Malformed and UnknownLink.
type Stats struct {
	Packets   uint64 `json:"packets"`
	Datagrams uint64 `json:"datagrams"`
	// Fragments were kept to be put together; each Reassembled datagram is
	// counted under Datagrams, NotExport or Malformed by its last fragment.
	Fragments   uint64 `json:"fragments"`
	Reassembled uint64 `json:"reassembled"`
	// Segments are of TCP connections with IPFIX, Messages what they hold. Holes are
	// where segments are missing between others.
	Segments uint64 `json:"segments"`
	Messages uint64 `json:"messages"`
	Holes    uint64 `json:"holes"`
	// NotUDP is other traffic: other TCP, ARP, routing …
	NotUDP uint64 `json:"not_udp"`
	// NotExport is UDP that is no flow export, or goes to another port.
	NotExport uint64 `json:"not_export"`
	// Malformed headers contradict their own lengths, or end within.
	Malformed uint64 `json:"malformed"`
	// UnknownLink came from an interface whose link type is not read.
	UnknownLink uint64 `json:"unknown_link"`
	// Truncated datagrams were taken with what the capture kept of them (snap length).
	Truncated uint64 `json:"truncated"`
	// BackInTime packets are older than the one before them; they took its time.
	BackInTime uint64 `json:"back_in_time"`
	// Cut names the files that end within a packet, as a killed tcpdump leaves them.
	Cut []string `json:"cut,omitempty"`
}

// Reader yields the datagrams of one or more captures in order of time.
type Reader struct {
	opt   Options
	stats Stats
	files []*file
	// heads are the files that have a datagram ready, the earliest first.
	heads fileHeap
	// started and last: heads[0] was given out and must move on.
	started, last bool
}

// Open opens captures; "-" is standard input. Each must begin as a pcap or
// pcapng file, plain or compressed. Close the reader when done.
func Open(paths []string, opt Options) (*Reader, error) {
	if opt.Stdin == nil {
		opt.Stdin = os.Stdin
	}
	r := &Reader{opt: opt}
	for i, path := range paths {
		f, err := openFile(path, i, opt.Stdin)
		if err != nil {
			r.Close()
			return nil, err
		}
		r.files = append(r.files, f)
	}
	return r, nil
}

// Next is the earliest datagram that was not given yet, io.EOF at the end of
// all captures, or an error that names the file and the place in it. After an
// error, Next goes on with the other files.
func (r *Reader) Next() (Datagram, error) {
	if err := r.forward(); err != nil {
		return Datagram{}, err
	}
	if len(r.heads) == 0 {
		return Datagram{}, io.EOF
	}
	r.last = true
	return r.heads[0].head, nil
}

// forward brings the earliest datagram to heads[0].
func (r *Reader) forward() error {
	var failed []error
	if !r.started {
		r.started = true
		for _, f := range r.files {
			if err := f.next(&r.opt, &r.stats); err == nil {
				r.heads = append(r.heads, f)
			} else if err != io.EOF {
				failed = append(failed, err)
			}
		}
		heap.Init(&r.heads)
		return errors.Join(failed...)
	}
	if !r.last {
		return nil
	}
	r.last = false
	switch err := r.heads[0].next(&r.opt, &r.stats); err {
	case nil:
		heap.Fix(&r.heads, 0)
		return nil
	case io.EOF:
		heap.Pop(&r.heads)
		return nil
	default:
		heap.Pop(&r.heads)
		return err
	}
}

// Stats is what was counted so far.
func (r *Reader) Stats() Stats { return r.stats }

// Size is the sum of the files' sizes in bytes, as stored; ok is false when a
// size is not known (standard input, a pipe).
func (r *Reader) Size() (n int64, ok bool) {
	for _, f := range r.files {
		if f.size < 0 {
			return 0, false
		}
		n += f.size
	}
	return n, true
}

// Position is how many bytes of the files, as stored, have been read.
func (r *Reader) Position() (n int64) {
	for _, f := range r.files {
		n += f.stored.n
	}
	return n
}

// Close closes the files.
func (r *Reader) Close() error {
	var errs []error
	for _, f := range r.files {
		errs = append(errs, f.close())
	}
	return errors.Join(errs...)
}

// fileHeap orders files by the time of their next datagram, then by their
// place on the command line.
type fileHeap []*file

func (h fileHeap) Len() int { return len(h) }
func (h fileHeap) Less(i, j int) bool {
	if h[i].head.Time != h[j].head.Time {
		return h[i].head.Time < h[j].head.Time
	}
	return h[i].index < h[j].index
}
func (h fileHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *fileHeap) Push(x any)   { *h = append(*h, x.(*file)) }
func (h *fileHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
