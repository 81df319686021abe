package flow

import (
	"encoding/binary"
	"math/bits"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// Fresh is a flow that was made in this process rather than read from the log: it
// has no fields that a newer version has put there, and so can be written by
// hand-written code, in one pass from front to back. The generated code takes two,
// one of them to learn the size, and three times as long: at the rate of ingest
// that was a quarter of all it did. The bytes are the same.
type Fresh flowv1.Flow

// SizeVT is the generated code's.
func (f *Fresh) SizeVT() int { return (*flowv1.Flow)(f).SizeVT() }

// MarshalToSizedBufferVT is the generated code's.
func (f *Fresh) MarshalToSizedBufferVT(b []byte) (int, error) {
	return (*flowv1.Flow)(f).MarshalToSizedBufferVT(b)
}

// appender is a message that appends itself to a batch, with its length before it.
type appender interface{ AppendDelimited(batch []byte) []byte }

// fixedBytes is room for all fields of a fixed or bounded length: a tag of two bytes
// and a varint of ten for each of them, the lengths of the others among them.
const fixedBytes = 12 * 80

// AppendDelimited writes the flow behind the batch.
func (f *Fresh) AppendDelimited(batch []byte) []byte {
	if f.rich() {
		return appendGenerated(batch, f)
	}
	start := len(batch)
	batch = f.makeRoom(batch)
	first := start + 1
	if len(f.SrcAddr) > 4 {
		first++ // then the length has two bytes; where this is a wrong guess, what was written moves
	}
	b := batch[:cap(batch)]
	end := f.rest(b, f.common(b, first))
	size := end - first
	if n := lengthOf(size); n != first-start {
		copy(b[start+n:], b[first:end])
		end = start + n + size
	}
	putVarint(b, start, uint64(size))
	return b[:end]
}

// Append writes the flow behind b, without its length.
func (f *Fresh) Append(b []byte) []byte {
	if f.rich() {
		return appendMessage(b, f, f.SizeVT())
	}
	start := len(b)
	b = f.makeRoom(b)
	b = b[:cap(b)]
	return b[:f.rest(b, f.common(b, start))]
}

// rich tells that a flow has what few have, and what costs little beside what it is:
// that is left to the generated code.
func (f *Fresh) rich() bool {
	return f.Vpc != nil || len(f.Reporters)|len(f.MplsTtl)|len(f.MplsLabel)|len(f.MplsIp)|len(f.BgpCommunities)|len(f.AsPath) != 0
}

// makeRoom has the flow fit behind b.
func (f *Fresh) makeRoom(b []byte) []byte {
	room := fixedBytes + len(f.SrcAddr) + len(f.DstAddr) + len(f.SamplerAddress) + len(f.NextHop) + len(f.BgpNextHop) +
		len(f.PostSrcAddr) + len(f.PostDstAddr) + len(f.Application) + len(f.User) + len(f.HttpHost) + len(f.HttpUrl) +
		len(f.DnsName) + len(f.FirewallRule)
	if cap(b)-len(b) < room {
		return grow(b, room)
	}
	return b
}

// lengthOf is how many bytes a varint takes.
func lengthOf(size int) int { return (bits.Len(uint(size)|1) + 6) / 7 }

// grow makes room as append does, so that a batch is copied few times.
func grow(batch []byte, room int) []byte {
	bigger := make([]byte, len(batch), max(2*cap(batch), len(batch)+room))
	copy(bigger, batch)
	return bigger
}

// Wire types (protobuf encoding).
const (
	varint = 0
	fixed8 = 1
	text   = 2
	fixed4 = 5
)

// The following write at b[i] and return where they have ended: so the place stays
// in a register. Small numbers, which most are, are written without a call. A slice
// whose capacity is known (b[i:i+8:i+8]) costs a third of one that ends somewhere.

// putShort writes a number under a tag of one byte, putLarge one under a tag of two.
func putShort(b []byte, i int, number byte, v uint64) int {
	b[i] = number << 3
	if v < 0x80 {
		b[i+1] = byte(v)
		return i + 2
	}
	return putVarint(b, i+1, v)
}

func putLarge(b []byte, i int, number uint16, v uint64) int {
	binary.LittleEndian.PutUint16(b[i:i+2:i+2], tag(number, varint))
	if v < 0x80 {
		b[i+2] = byte(v)
		return i + 3
	}
	return putVarint(b, i+2, v)
}

// tag is a tag of two bytes, the first below.
func tag(number, kind uint16) uint16 { return (number<<3|kind)&0x7f | 0x80 | number>>4<<8 }

func putVarint(b []byte, i int, v uint64) int {
	for v >= 0x80 {
		b[i] = byte(v) | 0x80
		v >>= 7
		i++
	}
	b[i] = byte(v)
	return i + 1
}

// putTime writes nanoseconds since the epoch: nine bytes until the year 2262, spread
// out all at once.
func putTime(b []byte, i int, number uint16, v uint64) int {
	binary.LittleEndian.PutUint16(b[i:i+2:i+2], tag(number, varint))
	i += 2
	if v < 1<<56 || v >= 1<<63 {
		return putVarint(b, i, v)
	}
	binary.LittleEndian.PutUint64(b[i:i+8:i+8], spread(v))
	b[i+8] = byte(v >> 56)
	return i + 9
}

// spread is the first eight bytes of a varint of nine.
func spread(v uint64) uint64 {
	x := v&0x0fffffff | v<<4&0x0fffffff00000000
	x = x&0x00003fff00003fff | x<<2&0x3fff00003fff0000
	x = x&0x007f007f007f007f | x<<1&0x7f007f007f007f00
	return x | 0x8080808080808080
}

func putFixed(b []byte, i int, number uint16, v uint64) int {
	binary.LittleEndian.PutUint16(b[i:i+2:i+2], tag(number, fixed8))
	binary.LittleEndian.PutUint64(b[i+2:i+10:i+10], v)
	return i + 10
}

// putAddress writes bytes under a tag of one byte: four of them, mostly.
func putAddress(b []byte, i int, number byte, v []byte) int {
	b[i] = number<<3 | text
	if len(v) == 4 {
		b[i+1] = 4
		binary.NativeEndian.PutUint32(b[i+2:i+6:i+6], binary.NativeEndian.Uint32(v))
		return i + 6
	}
	i = putVarint(b, i+1, uint64(len(v)))
	return i + copy(b[i:], v)
}

// putText writes bytes under a tag of two.
func putText[T string | []byte](b []byte, i int, number uint16, s T) int {
	binary.LittleEndian.PutUint16(b[i:i+2:i+2], tag(number, text))
	i = putVarint(b, i+2, uint64(len(s)))
	return i + copy(b[i:], s)
}

// common writes the fields up to 112. Fields that most flows lack are asked for together.
func (f *Fresh) common(b []byte, i int) int {
	if f.Type != 0 {
		i = putShort(b, i, 1, uint64(f.Type))
	}
	if f.SamplingRate != 0 {
		i = putShort(b, i, 3, f.SamplingRate)
	}
	if f.SequenceNum != 0 {
		i = putShort(b, i, 4, uint64(f.SequenceNum))
	}
	if len(f.SrcAddr) > 0 {
		i = putAddress(b, i, 6, f.SrcAddr)
	}
	if len(f.DstAddr) > 0 {
		i = putAddress(b, i, 7, f.DstAddr)
	}
	if f.Bytes != 0 {
		i = putShort(b, i, 9, f.Bytes)
	}
	if f.Packets != 0 {
		i = putShort(b, i, 10, f.Packets)
	}
	if len(f.SamplerAddress) > 0 {
		i = putAddress(b, i, 11, f.SamplerAddress)
	}
	if len(f.NextHop) > 0 {
		i = putAddress(b, i, 12, f.NextHop)
	}
	if f.NextHopAs|f.SrcAs|f.DstAs|f.SrcNet|f.DstNet != 0 {
		i = f.routing(b, i)
	}
	if f.InIf != 0 {
		i = putLarge(b, i, 18, uint64(f.InIf))
	}
	if f.OutIf != 0 {
		i = putLarge(b, i, 19, uint64(f.OutIf))
	}
	if f.Proto != 0 {
		i = putLarge(b, i, 20, uint64(f.Proto))
	}
	if f.SrcPort != 0 {
		i = putLarge(b, i, 21, uint64(f.SrcPort))
	}
	if f.DstPort != 0 {
		i = putLarge(b, i, 22, uint64(f.DstPort))
	}
	if f.IpTos != 0 {
		i = putLarge(b, i, 23, uint64(f.IpTos))
	}
	if f.ForwardingStatus != 0 {
		i = putLarge(b, i, 24, uint64(f.ForwardingStatus))
	}
	if f.IpTtl != 0 {
		i = putLarge(b, i, 25, uint64(f.IpTtl))
	}
	if f.TcpFlags != 0 {
		i = putLarge(b, i, 26, uint64(f.TcpFlags))
	}
	if f.SrcMac|f.DstMac != 0 || f.VlanId != 0 {
		i = f.link(b, i)
	}
	if f.Etype != 0 {
		i = putLarge(b, i, 30, uint64(f.Etype))
	}
	if f.IcmpType|f.IcmpCode|f.SrcVlan|f.DstVlan|f.FragmentId|f.FragmentOffset|f.Ipv6FlowLabel|f.IpFlags != 0 {
		i = f.packet(b, i)
	}
	if f.ObservationDomainId != 0 {
		i = putLarge(b, i, 70, uint64(f.ObservationDomainId))
	}
	if f.ObservationPointId != 0 {
		i = putLarge(b, i, 71, uint64(f.ObservationPointId))
	}
	if len(f.BgpNextHop) > 0 {
		i = putText(b, i, 100, f.BgpNextHop)
	}
	if f.TimeReceivedNs != 0 {
		i = putTime(b, i, 110, f.TimeReceivedNs)
	}
	if f.TimeFlowStartNs != 0 {
		i = putTime(b, i, 111, f.TimeFlowStartNs)
	}
	if f.TimeFlowEndNs != 0 {
		i = putTime(b, i, 112, f.TimeFlowEndNs)
	}
	return i
}

func (f *Fresh) routing(b []byte, i int) int {
	if f.NextHopAs != 0 {
		i = putShort(b, i, 13, uint64(f.NextHopAs))
	}
	if f.SrcAs != 0 {
		i = putShort(b, i, 14, uint64(f.SrcAs))
	}
	if f.DstAs != 0 {
		i = putShort(b, i, 15, uint64(f.DstAs))
	}
	if f.SrcNet != 0 {
		i = putLarge(b, i, 16, uint64(f.SrcNet))
	}
	if f.DstNet != 0 {
		i = putLarge(b, i, 17, uint64(f.DstNet))
	}
	return i
}

func (f *Fresh) link(b []byte, i int) int {
	if f.SrcMac != 0 {
		i = putLarge(b, i, 27, f.SrcMac)
	}
	if f.DstMac != 0 {
		i = putLarge(b, i, 28, f.DstMac)
	}
	if f.VlanId != 0 {
		i = putLarge(b, i, 29, uint64(f.VlanId))
	}
	return i
}

func (f *Fresh) packet(b []byte, i int) int {
	for n, v := range [...]uint32{f.IcmpType, f.IcmpCode, f.SrcVlan, f.DstVlan, f.FragmentId, f.FragmentOffset, f.Ipv6FlowLabel, f.IpFlags} {
		if v != 0 {
			i = putLarge(b, i, 31+uint16(n), uint64(v))
		}
	}
	return i
}

// rest writes the fields from 200 on.
func (f *Fresh) rest(b []byte, i int) int {
	if f.Direction != 0 {
		i = putLarge(b, i, 200, uint64(f.Direction))
	}
	if f.Realm != 0 {
		i = putLarge(b, i, 201, uint64(f.Realm))
	}
	if f.FlowEndReason != 0 {
		i = putLarge(b, i, 202, uint64(f.FlowEndReason))
	}
	if f.PairId != 0 {
		i = putFixed(b, i, 203, f.PairId)
	}
	if f.InitiatorHint != 0 {
		i = putLarge(b, i, 204, uint64(f.InitiatorHint))
	}
	if f.Authority != 0 {
		i = putLarge(b, i, 206, uint64(f.Authority))
	}
	if len(f.PostSrcAddr)|len(f.PostDstAddr) != 0 || f.PostSrcPort|f.PostDstPort != 0 {
		i = f.translated(b, i)
	}
	if len(f.Application)|len(f.User)|len(f.HttpHost)|len(f.HttpUrl)|len(f.DnsName) != 0 {
		i = f.names(b, i)
	}
	if f.TimeQuality != 0 {
		i = putLarge(b, i, 230, uint64(f.TimeQuality))
	}
	if f.SamplingKind != 0 {
		i = putLarge(b, i, 231, uint64(f.SamplingKind))
	}
	if f.RecordId != 0 {
		i = putFixed(b, i, 232, f.RecordId)
	}
	if f.ActiveTimeoutMs != 0 {
		i = putLarge(b, i, 233, uint64(f.ActiveTimeoutMs))
	}
	if f.InactiveTimeoutMs != 0 {
		i = putLarge(b, i, 234, uint64(f.InactiveTimeoutMs))
	}
	if f.ReverseObservable {
		i = putLarge(b, i, 235, 1)
	}
	if f.FirewallEvent != 0 {
		i = putLarge(b, i, 236, uint64(f.FirewallEvent))
	}
	if len(f.FirewallRule) > 0 {
		i = putText(b, i, 237, f.FirewallRule)
	}
	if f.InitialTcpFlags|f.IngressVrfId|f.EgressVrfId != 0 {
		i = f.further(b, i)
	}
	if f.Late {
		i = putLarge(b, i, 241, 1)
	}
	if f.PacketsUnknown {
		i = putLarge(b, i, 242, 1)
	}
	if f.TimeSuspect {
		i = putLarge(b, i, 243, 1)
	}
	return i
}

func (f *Fresh) translated(b []byte, i int) int {
	if len(f.PostSrcAddr) > 0 {
		i = putText(b, i, 207, f.PostSrcAddr)
	}
	if len(f.PostDstAddr) > 0 {
		i = putText(b, i, 208, f.PostDstAddr)
	}
	if f.PostSrcPort != 0 {
		i = putLarge(b, i, 209, uint64(f.PostSrcPort))
	}
	if f.PostDstPort != 0 {
		i = putLarge(b, i, 210, uint64(f.PostDstPort))
	}
	return i
}

func (f *Fresh) names(b []byte, i int) int {
	for n, s := range [...]string{f.Application, f.User, f.HttpHost, f.HttpUrl, f.DnsName} {
		if len(s) > 0 {
			i = putText(b, i, 211+uint16(n), s)
		}
	}
	return i
}

func (f *Fresh) further(b []byte, i int) int {
	for n, v := range [...]uint32{f.InitialTcpFlags, f.IngressVrfId, f.EgressVrfId} {
		if v != 0 {
			i = putLarge(b, i, 238+uint16(n), uint64(v))
		}
	}
	return i
}
