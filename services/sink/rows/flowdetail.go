package rows

import flowv1 "github.com/flowledger/flowledger/proto/flow/v1"

// flowDetailFields are what some exporters add: routing, layer 2, translation,
// names.
func flowDetailFields() []field[*flowv1.Flow] {
	type F = *flowv1.Flow
	return []field[F]{
		col("next_hop", func(f F) [16]byte { return addr(f.NextHop) }),
		col("next_hop_as", func(f F) uint32 { return f.NextHopAs }),
		col("bgp_next_hop", func(f F) [16]byte { return addr(f.BgpNextHop) }),
		col("src_as", func(f F) uint32 { return f.SrcAs }),
		col("dst_as", func(f F) uint32 { return f.DstAs }),
		col("src_net", func(f F) uint8 { return uint8(f.SrcNet) }),
		col("dst_net", func(f F) uint8 { return uint8(f.DstNet) }),
		list("as_path", func(dst []uint32, f F) []uint32 { return append(dst, f.AsPath...) }),
		list("bgp_communities", func(dst []uint32, f F) []uint32 { return append(dst, f.BgpCommunities...) }),
		col("ip_tos", func(f F) uint8 { return uint8(f.IpTos) }),
		col("ip_ttl", func(f F) uint8 { return uint8(f.IpTtl) }),
		col("ip_flags", func(f F) uint8 { return uint8(f.IpFlags) }),
		col("fragment_id", func(f F) uint32 { return f.FragmentId }),
		col("fragment_offset", func(f F) uint32 { return f.FragmentOffset }),
		col("ipv6_flow_label", func(f F) uint32 { return f.Ipv6FlowLabel }),
		col("forwarding_status", func(f F) uint32 { return f.ForwardingStatus }),
		col("etype", func(f F) uint16 { return uint16(f.Etype) }),
		col("src_mac", func(f F) uint64 { return f.SrcMac }),
		col("dst_mac", func(f F) uint64 { return f.DstMac }),
		col("vlan_id", func(f F) uint32 { return f.VlanId }),
		col("src_vlan", func(f F) uint32 { return f.SrcVlan }),
		col("dst_vlan", func(f F) uint32 { return f.DstVlan }),
		col("ingress_vrf_id", func(f F) uint32 { return f.IngressVrfId }),
		col("egress_vrf_id", func(f F) uint32 { return f.EgressVrfId }),
		list("mpls_label", func(dst []uint32, f F) []uint32 { return append(dst, f.MplsLabel...) }),
		list("mpls_ttl", func(dst []uint32, f F) []uint32 { return append(dst, f.MplsTtl...) }),
		list("mpls_ip", func(dst [][16]byte, f F) [][16]byte {
			for _, ip := range f.MplsIp {
				dst = append(dst, addr(ip))
			}
			return dst
		}),
		col("post_src_addr", func(f F) [16]byte { return addr(f.PostSrcAddr) }),
		col("post_src_port", func(f F) uint16 { return uint16(f.PostSrcPort) }),
		col("post_dst_addr", func(f F) [16]byte { return addr(f.PostDstAddr) }),
		col("post_dst_port", func(f F) uint16 { return uint16(f.PostDstPort) }),
		col("firewall_event", func(f F) uint8 { return uint8(f.FirewallEvent) }),
		col("firewall_rule", func(f F) string { return text(f.FirewallRule) }),
		col("application", func(f F) string { return text(f.Application) }),
		col("user", func(f F) string { return text(f.User) }),
		col("http_host", func(f F) string { return text(f.HttpHost) }),
		col("http_url", func(f F) string { return text(f.HttpUrl) }),
		col("dns_name", func(f F) string { return text(f.DnsName) }),
		list("vpc", func(dst []Pair, f F) []Pair { return appendVpc(dst, f.Vpc) }),
	}
}
