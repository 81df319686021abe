package normalize

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/netsampler/goflow2/v2/decoders/sflow"
)

// readSampleRecords reads the records behind a sample's header, which are known to lie
// within it, into the places that goflow2 made for them. One that cannot be read is left
// out, and the datagram said to be bad in part; only where it is the one that describes
// the packet there is no sample without it.
func readSampleRecords(m *message, sample any, b []byte) error {
	switch s := sample.(type) {
	case sflow.FlowSample:
		return readFlowRecords(m, s.Records, b)
	case sflow.ExpandedFlowSample:
		return readFlowRecords(m, s.Records, b)
	case sflow.DropSample:
		return readFlowRecords(m, s.Records, b)
	case sflow.CounterSample:
		for i := range s.Records {
			h, body := nextRecord(&b)
			r, err := sflow.DecodeCounterRecord(&h, bytes.NewBuffer(body))
			if err != nil {
				m.fail(reasonBadSampleRecord)
			}
			s.Records[i] = r
		}
	}
	return nil
}

const reasonBadSampleRecord = "bad_sample_record"

func readFlowRecords(m *message, into []sflow.FlowRecord, b []byte) error {
	for i := range into {
		h, body := nextRecord(&b)
		r, err := readFlowRecord(&h, body)
		switch {
		case err == nil:
			into[i] = r
		case h.DataFormat <= sflow.FLOW_TYPE_IPV6:
			return err
		default:
			m.fail(reasonBadSampleRecord)
		}
	}
	return nil
}

// nextRecord cuts the next record off.
func nextRecord(b *[]byte) (h sflow.RecordHeader, body []byte) {
	h.DataFormat, h.Length = binary.BigEndian.Uint32(*b), binary.BigEndian.Uint32((*b)[4:])
	body = (*b)[8 : 8+h.Length]
	*b = (*b)[8+h.Length:]
	return h, body
}

// readFlowRecord has goflow2 read a record, but for those whose addresses may be
// unknown, the AS path, which may have several parts, and MAC addresses, which are
// padded to eight bytes: it takes none of these.
func readFlowRecord(h *sflow.RecordHeader, b []byte) (sflow.FlowRecord, error) {
	r := sflow.FlowRecord{Header: *h}
	x := xdr{b: b}
	switch h.DataFormat {
	case sflow.FLOW_TYPE_ETH:
		r.Data = sflow.SampledEthernet{Length: x.number(), SrcMac: x.mac(), DstMac: x.mac(), EthType: x.number()}
	case sflow.FLOW_TYPE_EXT_ROUTER:
		r.Data = sflow.ExtendedRouter{NextHop: x.address(), SrcMaskLen: x.number(), DstMaskLen: x.number()}
	case sflow.FLOW_TYPE_EXT_GATEWAY:
		g := sflow.ExtendedGateway{NextHop: x.address(), AS: x.number(), SrcAS: x.number(), SrcPeerAS: x.number()}
		for parts := x.number(); parts > 0 && len(x.b) > 0; parts-- {
			x.number() // a set or a sequence
			g.ASPath = append(g.ASPath, x.numbers()...)
		}
		g.Communities = x.numbers()
		g.LocalPref = x.number()
		r.Data = g
	default:
		return sflow.DecodeFlowRecord(h, bytes.NewBuffer(b))
	}
	if x.short {
		return r, io.ErrUnexpectedEOF
	}
	return r, nil
}

// xdr reads XDR (RFC 4506) values; past the end, they are empty, and short is set.
type xdr struct {
	b     []byte
	short bool
}

func (x *xdr) end() { x.b, x.short = nil, true }

func (x *xdr) number() uint32 {
	if len(x.b) < 4 {
		x.end()
		return 0
	}
	v := binary.BigEndian.Uint32(x.b)
	x.b = x.b[4:]
	return v
}

// bytes reads a counted string, padded to four bytes.
func (x *xdr) bytes() []byte {
	n := uint64(x.number())
	if n > uint64(len(x.b)) {
		x.end()
		return nil
	}
	v := x.b[:n]
	x.b = x.b[min((n+3)&^3, uint64(len(x.b))):]
	return v
}

// numbers reads a counted list of numbers.
func (x *xdr) numbers() []uint32 {
	n := uint64(x.number())
	if n > uint64(len(x.b)/4) {
		x.end()
		return nil
	}
	v := make([]uint32, n)
	for i := range v {
		v[i] = x.number()
	}
	return v
}

// addressSizes are the lengths of addresses by type (sFlow "address_type").
var addressSizes = [...]int{0: 0, 1: 4, 2: 16}

// address reads a type (0 is unknown, 1 is IPv4, 2 is IPv6) and an address.
func (x *xdr) address() []byte {
	kind := x.number()
	if kind >= uint32(len(addressSizes)) {
		x.end()
		return nil
	}
	return x.take(addressSizes[kind])
}

// mac reads an opaque value of six bytes, padded to a multiple of four (RFC 4506 §4.9).
func (x *xdr) mac() []byte {
	b := x.take(8)
	return b[:min(len(b), 6)]
}

// take reads so many bytes.
func (x *xdr) take(n int) []byte {
	if n > len(x.b) {
		x.end()
		return nil
	}
	v := x.b[:n]
	x.b = x.b[n:]
	return v
}
