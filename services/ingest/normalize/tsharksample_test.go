package normalize

import (
	"strconv"
	"strings"
)

// sample is what an sFlow sample says: of the packet, its innermost headers. One
// packet of so many bytes as its IP header counts, at the time of reception.
func (j *judge) sample(r *dissectedRecord) map[string]string {
	w := map[string]string{"packets": "1", "sampling_rate": r.first("flow_sample.sampling_rate")}
	take := func(our string, names ...string) {
		for _, name := range names {
			if s := r.all(name); s != nil {
				w[our] = s[len(s)-1]
			}
		}
	}
	take("src_mac", "eth.src")
	take("dst_mac", "eth.dst")
	take("src_port", "tcp.srcport", "udp.srcport")
	take("dst_port", "tcp.dstport", "udp.dstport")
	take("in_if", "flow_sample.input_interface", "flow_sample.input_interface_value")
	take("out_if", "flow_sample.output_interface_value")
	for _, our := range []string{"in_if", "out_if"} {
		if w[our] == strconv.Itoa(noInterface) {
			w[our] = "0"
		}
	}
	take("next_hop", "nexthop")
	take("src_net", "nexthop.src_mask")
	take("dst_net", "nexthop.dst_mask")
	take("src_as", "srcAS")
	take("dst_as", "dstAS")
	take("vlan_id", "vlan.id")
	take("src_vlan", "vlan.id", "vlan.in")
	take("dst_vlan", "vlan.out")
	for _, our := range []string{"src_vlan", "dst_vlan"} {
		if w[our] == "4294967295" { // unknown
			delete(w, our)
		}
	}
	take("icmp_type", "icmp.type", "icmpv6.type")
	take("icmp_code", "icmp.code", "icmpv6.code")
	if path := r.all("dstAS"); path != nil { // tshark gives the communities behind it the same name
		communities, _ := strconv.Atoi(r.first("communityEntries"))
		w["bgp_communities"] = "[" + strings.Join(path[len(path)-communities:], ",") + "]"
		path = path[:len(path)-communities]
		w["dst_as"] = path[len(path)-1]
		w["as_path"], w["next_hop_as"] = "["+strings.Join(path, ",")+"]", path[0]
	}
	if flags := r.all("tcp.flags"); flags != nil {
		w["tcp_flags"] = decimalOf(flags[len(flags)-1])
	}
	if r.first("ipv6.src") != "" && (r.first("ip.src") == "" || r.before("ip.src", "ipv6.src")) {
		take("src_addr", "ipv6.src")
		take("dst_addr", "ipv6.dst")
		take("proto", "ipv6.nxt")
		take("ip_ttl", "ipv6.hlim")
		length, _ := strconv.Atoi(r.first("ipv6.plen"))
		w["bytes"] = strconv.Itoa(40 + length)
		w["ip_tos"] = decimalOf(r.first("ipv6.tclass"))
		w["ipv6_flow_label"] = decimalOf(r.first("ipv6.flow"))
		if w["proto"] == "58" { // the ports are the tunnel's
			w["src_port"], w["dst_port"] = "", ""
		}
		return w
	}
	take("src_addr", "ip.src")
	take("dst_addr", "ip.dst")
	take("proto", "ip.proto")
	take("ip_ttl", "ip.ttl")
	take("bytes", "ip.len")
	take("fragment_offset", "ip.frag_offset")
	w["ip_tos"], w["fragment_id"] = decimalOf(r.first("ip.dsfield")), decimalOf(r.first("ip.id"))
	return w
}
