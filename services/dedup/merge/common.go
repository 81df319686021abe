package merge

import (
	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// common tells whether packed has a place for all that a flow says.
func common(f *flowv1.Flow) bool {
	return noRareNumber(f) && noRareBytes(f) && fits(f) &&
		canonical(f.SrcAddr) && canonical(f.DstAddr) && canonical(f.SamplerAddress) && len(f.NextHop) <= 16
}

// noRareNumber: none of the numbers is set for which packed has no place.
func noRareNumber(f *flowv1.Flow) bool {
	return f.SrcMac|f.DstMac|f.PairId == 0 &&
		f.ForwardingStatus|f.SrcVlan|f.DstVlan|f.FragmentId|f.FragmentOffset|f.Ipv6FlowLabel|f.IpFlags|
			f.ObservationPointId|f.PostSrcPort|f.PostDstPort|f.FirewallEvent|f.IngressVrfId|f.EgressVrfId|
			uint32(f.Authority) == 0 && !f.Late
}

// noRareBytes: none of the lists, texts and addresses is set for which packed has
// no place, nor any field that this program does not know.
func noRareBytes(f *flowv1.Flow) bool {
	return len(f.MplsTtl)|len(f.MplsLabel)|len(f.MplsIp)|len(f.BgpNextHop)|len(f.BgpCommunities)|len(f.AsPath)|
		len(f.Reporters)|len(f.PostSrcAddr)|len(f.PostDstAddr)|
		len(f.Application)|len(f.User)|len(f.HttpHost)|len(f.HttpUrl)|len(f.DnsName)|len(f.FirewallRule) == 0 &&
		f.Vpc == nil && !f.HasUnknown()
}

// fits: the numbers fit into packed's narrower ones.
func fits(f *flowv1.Flow) bool {
	bits8 := f.Proto | f.SrcNet | f.DstNet | f.IpTos | f.IpTtl | f.IcmpType | f.IcmpCode | f.FlowEndReason |
		uint32(f.Type) | uint32(f.Direction) | uint32(f.TimeQuality) | uint32(f.SamplingKind) | uint32(f.InitiatorHint)
	bits16 := f.SrcPort | f.DstPort | f.TcpFlags | f.InitialTcpFlags | f.VlanId | f.Etype
	return bits8>>8|bits16>>16 == 0
}

// canonical: flow.Addr gives the address back as it was.
func canonical(b []byte) bool {
	if len(b) == 16 {
		return !(*flow.Addr)(b).Is4()
	}
	return len(b) == 4
}
