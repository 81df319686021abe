package capture

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// records is what pcapgo's two readers have in common.
type records interface {
	ZeroCopyReadPacketData() ([]byte, gopacket.CaptureInfo, error)
}

// file is one capture being read.
type file struct {
	path  string
	index int
	// size in bytes as stored, or -1.
	size    int64
	closers []io.Closer
	// stored counts bytes as stored, plain those of the capture itself.
	stored, plain counter
	buf           *bufio.Reader

	records records
	// link is the type of a pcap file; pcapng tells it per packet.
	link layers.LinkType
	ng   bool

	packets   uint64
	clock     uint64
	fragments fragments
	streams   streams
	// messages are those of TCP that were read and not given out yet.
	messages []Datagram
	head     Datagram
	// ended is with what reading ended: io.EOF, or an error.
	ended error
}

// counter counts what passes through a reader.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// readBuffer is the size of the buffers before and after decompression.
const readBuffer = 256 << 10

// openFile opens a capture; stdin is what "-" reads.
func openFile(path string, index int, stdin io.Reader) (*file, error) {
	f := &file{path: path, index: index, size: -1}
	f.streams.session = uint64(index) << 32 // sessions of all files have numbers of their own
	in := stdin
	if path != "-" {
		stored, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("cannot open the capture: %w", err)
		}
		f.closers, in = append(f.closers, stored), stored
	}
	if stored, ok := in.(*os.File); ok {
		if st, err := stored.Stat(); err == nil && st.Mode().IsRegular() {
			f.size = st.Size()
		} else if err == nil && st.IsDir() {
			f.close()
			return nil, fmt.Errorf("cannot read %s: it is a folder; name the captures in it, as in %s/*.pcap", path, path)
		}
	}
	if err := f.start(in); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// start finds out what the file is and reads its header.
func (f *file) start(in io.Reader) error {
	f.stored.r = in
	raw := bufio.NewReaderSize(&f.stored, readBuffer)
	magic, err := raw.Peek(4)
	if len(magic) == 0 && err == io.EOF {
		return fmt.Errorf("cannot read %s: it is empty; a capture begins with a pcap or pcapng header", f.name())
	}
	if f.plain.r, err = f.decompress(raw, magic); err != nil {
		return fmt.Errorf("cannot decompress %s: %w; `gzip -t` or `zstd -t` tells whether the file is whole", f.name(), err)
	}
	f.buf = bufio.NewReaderSize(&f.plain, readBuffer)
	if magic, err = f.buf.Peek(4); len(magic) < 4 {
		return fmt.Errorf("cannot read %s: it holds %d bytes only (%v); a capture begins with a pcap or pcapng header", f.name(), len(magic), err)
	}
	switch formatOf(magic) {
	case pcap:
		return f.startPcap()
	case pcapng:
		return f.startPcapng()
	}
	return fmt.Errorf("cannot read %s: it is no pcap or pcapng capture (%s)", f.name(), guess(magic))
}

// format is how a capture is written.
type format uint8

const (
	noCapture format = iota
	pcap
	pcapng
)

func formatOf(magic []byte) format {
	switch binary.LittleEndian.Uint32(magic) {
	case 0xa1b2c3d4, 0xd4c3b2a1, 0xa1b23c4d, 0x4d3cb2a1: // either byte order; µs, ns
		return pcap
	case 0x0a0d0d0a:
		return pcapng
	}
	return noCapture
}

// Recognize tells whether a file that begins so, once decompressed, is a capture.
func Recognize(head []byte) bool { return len(head) >= 4 && formatOf(head) != noCapture }

func (f *file) decompress(raw *bufio.Reader, magic []byte) (io.Reader, error) {
	switch {
	case len(magic) >= 2 && magic[0] == 0x1f && magic[1] == 0x8b:
		z, err := gzip.NewReader(raw)
		if err != nil {
			return nil, err
		}
		f.closers = append(f.closers, z)
		return z, nil
	case len(magic) >= 4 && binary.LittleEndian.Uint32(magic) == 0xfd2fb528:
		z, err := zstd.NewReader(raw, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		f.closers = append(f.closers, z.IOReadCloser())
		return z, nil
	}
	return raw, nil
}

func (f *file) startPcap() error {
	r, err := pcapgo.NewReader(f.buf)
	if err != nil {
		return fmt.Errorf("cannot read %s: its pcap header is damaged: %w", f.name(), err)
	}
	f.records, f.link = r, r.LinkType()
	if !knownLink(f.link) {
		return fmt.Errorf("cannot read %s: link type %d (%v) is not supported; capture on an Ethernet, cooked (any), raw IP or loopback interface, or convert with `editcap -T`",
			f.name(), uint16(f.link), f.link)
	}
	return nil
}

func (f *file) startPcapng() error {
	r, err := pcapgo.NewNgReader(f.buf, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
	if err != nil {
		return fmt.Errorf("cannot read %s: its pcapng header is damaged: %w", f.name(), err)
	}
	f.records, f.ng = r, true
	return nil
}

// guess says what a file may be that is no capture.
func guess(magic []byte) string {
	switch {
	case string(magic) == "PK\x03\x04":
		return "a zip archive? unpack it first"
	case string(magic[:3]) == "BZh", string(magic) == "\xfd7zX":
		return "compressed by bzip2 or xz? decompress it first: only gzip and zstd are read as they are"
	case string(magic) == "snoo":
		return "a snoop capture? convert it with `editcap -F pcap`"
	case magic[0] == 0x0c && magic[1] == 0xa5:
		return "an nfdump file? it holds flows already, not the exporters' datagrams"
	}
	return fmt.Sprintf("it begins with % x; `file` may tell what it is", magic)
}

func (f *file) name() string {
	if f.path == "-" {
		return "standard input"
	}
	return f.path
}

// next reads up to the next datagram that is wanted and puts it into head.
func (f *file) next(opt *Options, st *Stats) error {
	for {
		if f.message(st) {
			return nil
		}
		data, info, err := f.records.ZeroCopyReadPacketData()
		if err != nil {
			if f.ended == nil {
				f.ended = f.end(err, info, st)
				f.streams.flush(f.clock, opt, st)
				f.messages = f.streams.messages
				continue
			}
			return f.ended
		}
		f.packets++
		st.Packets++
		f.head = Datagram{Time: f.tick(info, st)}
		d := dissector{out: &f.head, fragments: &f.fragments, stats: st}
		switch f.dissect(&d, data, info) {
		case isSegment:
			if !f.streams.take(f.clock, &d.segment, opt, st) {
				st.NotUDP++
				continue
			}
			st.Segments++
			f.messages = f.streams.messages
		case isDatagram:
			if !opt.wants(&f.head) {
				st.NotExport++
				continue
			}
			st.Datagrams++
			if f.head.Truncated {
				st.Truncated++
			}
			return nil
		case isOther:
			st.NotUDP++
		case isFragment:
			st.Fragments++
		case isMalformed:
			st.Malformed++
		case isUnknownLink:
			st.UnknownLink++
		}
	}
}

// message puts the next message of TCP into head, if there is one.
func (f *file) message(st *Stats) bool {
	if len(f.messages) == 0 {
		return false
	}
	f.head, f.messages = f.messages[0], f.messages[1:]
	if len(f.head.Payload) > 0 {
		st.Messages++
	}
	return true
}

// dissect finds the datagram or the segment in a packet.
func (f *file) dissect(d *dissector, data []byte, info gopacket.CaptureInfo) verdict {
	link := f.link
	if f.ng {
		link = info.AncillaryData[0].(layers.LinkType)
		if !knownLink(link) {
			return isUnknownLink
		}
	}
	return d.link(link, data)
}

// tick is the time of a packet, made monotone.
func (f *file) tick(info gopacket.CaptureInfo, st *Stats) uint64 {
	sec := info.Timestamp.Unix()
	if sec < 0 || sec >= math.MaxInt64/int64(time.Second) {
		return f.clock // pcapng's simple packets have no time, damaged ones an absurd one
	}
	if ns := uint64(info.Timestamp.UnixNano()); ns >= f.clock {
		f.clock = ns
	} else {
		st.BackInTime++
	}
	return f.clock
}

// end turns the error at the end of a file into io.EOF or one that helps.
func (f *file) end(err error, info gopacket.CaptureInfo, st *Stats) error {
	cut := errors.Is(err, io.ErrUnexpectedEOF) || (err == io.EOF && info.CaptureLength > 0)
	switch {
	case cut:
		st.Cut = append(st.Cut, f.name())
		return io.EOF
	case err == io.EOF:
		return io.EOF
	}
	return fmt.Errorf("cannot read %s any further: packet %d, which begins before byte %d: %w; what came before it was read; `editcap` or `pcapfix` may save the rest",
		f.name(), f.packets+1, f.plain.n-int64(f.buf.Buffered()), err)
}

func (f *file) close() error {
	var errs []error
	for i := len(f.closers) - 1; i >= 0; i-- {
		errs = append(errs, f.closers[i].Close())
	}
	f.closers = nil
	return errors.Join(errs...)
}
