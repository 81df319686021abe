package flow

import (
	"encoding/binary"
	"math"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// reporterField is the number of a biflow's reporters.
const reporterField = 30

// AppendBiflow appends a biflow to a batch, its length before it, in one pass from
// front to back. The bytes are those of the generated code, which takes two passes
// and three times as long. The reporters are given in their wire form
// (AppendBiflowReporter of each): b's own are not looked at, since many biflows
// have the same.
func AppendBiflow(batch []byte, b *flowv1.Biflow, reporters []byte) []byte {
	room := fixedBytes + len(b.ClientAddr) + len(b.ServerAddr) + len(b.PostClientAddr) + len(b.PostServerAddr) + len(reporters) +
		len(b.Application) + len(b.User) + len(b.HttpHost) + len(b.HttpUrl) + len(b.DnsName) + len(b.FirewallRule)
	start := len(batch)
	if cap(batch)-start < room {
		batch = grow(batch, room)
	}
	const first = 2 // bytes of the length, as a guess: where it is wrong, what was written moves
	to := batch[:cap(batch)]
	end := biflowSides(to, start+first, b)
	end = biflowVerdict(to, end, b)
	end += copy(to[end:], reporters)
	end = biflowRest(to, end, b)
	size := end - start - first
	if n := lengthOf(size); n != first {
		copy(to[start+n:], to[start+first:end])
		end = start + n + size
	}
	putVarint(to, start, uint64(size))
	return to[:end]
}

// biflowSides writes the fields up to 18: who and how much.
func biflowSides(to []byte, i int, b *flowv1.Biflow) int {
	if b.FlowId != 0 {
		to[i] = 1<<3 | fixed8
		binary.LittleEndian.PutUint64(to[i+1:], b.FlowId)
		i += 9
	}
	if b.Version != 0 {
		i = putShort(to, i, 2, uint64(b.Version))
	}
	if b.Realm != 0 {
		i = putShort(to, i, 3, uint64(b.Realm))
	}
	if b.Proto != 0 {
		i = putShort(to, i, 4, uint64(b.Proto))
	}
	if len(b.ClientAddr) > 0 {
		i = putAddress(to, i, 5, b.ClientAddr)
	}
	if b.ClientPort != 0 {
		i = putShort(to, i, 6, uint64(b.ClientPort))
	}
	if len(b.ServerAddr) > 0 {
		i = putAddress(to, i, 7, b.ServerAddr)
	}
	if b.ServerPort != 0 {
		i = putShort(to, i, 8, uint64(b.ServerPort))
	}
	if b.ClientBytes != 0 {
		i = putShort(to, i, 9, b.ClientBytes)
	}
	if b.ClientPackets != 0 {
		i = putShort(to, i, 10, b.ClientPackets)
	}
	if b.ClientTcpFlags != 0 {
		i = putShort(to, i, 11, uint64(b.ClientTcpFlags))
	}
	if b.ServerBytes != 0 {
		i = putShort(to, i, 12, b.ServerBytes)
	}
	if b.ServerPackets != 0 {
		i = putShort(to, i, 13, b.ServerPackets)
	}
	if b.ServerTcpFlags != 0 {
		i = putShort(to, i, 14, uint64(b.ServerTcpFlags))
	}
	if b.NewClientBytes|b.NewClientPackets|b.NewServerBytes|b.NewServerPackets != 0 {
		i = biflowNews(to, i, b)
	}
	return i
}

// biflowNews writes what is new: nothing, in a last version mostly.
func biflowNews(to []byte, i int, b *flowv1.Biflow) int {
	if b.NewClientBytes != 0 {
		i = putShort(to, i, 15, b.NewClientBytes)
	}
	if b.NewClientPackets != 0 {
		i = putLarge(to, i, 16, b.NewClientPackets)
	}
	if b.NewServerBytes != 0 {
		i = putLarge(to, i, 17, b.NewServerBytes)
	}
	if b.NewServerPackets != 0 {
		i = putLarge(to, i, 18, b.NewServerPackets)
	}
	return i
}

// biflowVerdict writes the fields 19 to 29: when, and what is thought of it.
func biflowVerdict(to []byte, i int, b *flowv1.Biflow) int {
	if b.TimeFlowStartNs != 0 {
		i = putTime(to, i, 19, b.TimeFlowStartNs)
	}
	if b.TimeFlowEndNs != 0 {
		i = putTime(to, i, 20, b.TimeFlowEndNs)
	}
	if b.TimeOpenedNs != 0 {
		i = putTime(to, i, 21, b.TimeOpenedNs)
	}
	if b.TimeUpdatedNs != 0 {
		i = putTime(to, i, 22, b.TimeUpdatedNs)
	}
	if b.InitiatorEvidence != 0 {
		i = putLarge(to, i, 23, uint64(b.InitiatorEvidence))
	}
	if v := math.Float32bits(b.InitiatorConfidence); v != 0 {
		binary.LittleEndian.PutUint16(to[i:], tag(24, fixed4))
		binary.LittleEndian.PutUint32(to[i+2:], v)
		i += 6
	}
	if b.ConnState != 0 {
		i = putLarge(to, i, 25, uint64(b.ConnState))
	}
	if b.CloseReason != 0 {
		i = putLarge(to, i, 26, uint64(b.CloseReason))
	}
	if b.IcmpType != 0 {
		i = putLarge(to, i, 27, uint64(b.IcmpType))
	}
	if b.IcmpCode != 0 {
		i = putLarge(to, i, 28, uint64(b.IcmpCode))
	}
	if b.Segments != 0 {
		i = putLarge(to, i, 29, uint64(b.Segments))
	}
	return i
}

// biflowRest writes the fields from 31 on. Those that few have are asked for together.
func biflowRest(to []byte, i int, b *flowv1.Biflow) int {
	if b.SamplingRate != 0 {
		i = putLarge(to, i, 31, b.SamplingRate)
	}
	if b.SamplingKind != 0 {
		i = putLarge(to, i, 32, uint64(b.SamplingKind))
	}
	if b.TimeQuality != 0 {
		i = putLarge(to, i, 33, uint64(b.TimeQuality))
	}
	if len(b.Application)|len(b.User)|len(b.HttpHost)|len(b.HttpUrl)|len(b.DnsName) != 0 {
		for n, s := range [...]string{b.Application, b.User, b.HttpHost, b.HttpUrl, b.DnsName} {
			if len(s) > 0 {
				i = putText(to, i, 34+uint16(n), s)
			}
		}
	}
	if len(b.PostClientAddr)|len(b.PostServerAddr) != 0 || b.PostClientPort|b.PostServerPort != 0 {
		i = biflowTranslation(to, i, b)
	}
	if b.PrevFlowId != 0 {
		i = putFixed(to, i, 43, b.PrevFlowId)
	}
	if b.DirectionRevised {
		i = putLarge(to, i, 44, 1)
	}
	if b.DirectionConflict {
		i = putLarge(to, i, 45, 1)
	}
	if len(b.FirewallRule) > 0 {
		i = putText(to, i, 46, b.FirewallRule)
	}
	if b.PacketsUnknown {
		i = putLarge(to, i, 47, 1)
	}
	return i
}

func biflowTranslation(to []byte, i int, b *flowv1.Biflow) int {
	if len(b.PostClientAddr) > 0 {
		i = putText(to, i, 39, b.PostClientAddr)
	}
	if b.PostClientPort != 0 {
		i = putLarge(to, i, 40, uint64(b.PostClientPort))
	}
	if len(b.PostServerAddr) > 0 {
		i = putText(to, i, 41, b.PostServerAddr)
	}
	if b.PostServerPort != 0 {
		i = putLarge(to, i, 42, uint64(b.PostServerPort))
	}
	return i
}

// AppendBiflowReporter appends a reporter as it stands in a biflow.
func AppendBiflowReporter(dst []byte, r *flowv1.Reporter) []byte {
	size := r.SizeVT()
	dst = binary.LittleEndian.AppendUint16(dst, tag(reporterField, text))
	dst = binary.AppendUvarint(dst, uint64(size))
	out, err := r.MarshalVT()
	if err != nil {
		panic("BUG: cannot marshal a reporter: " + err.Error())
	}
	return append(dst, out...)
}
