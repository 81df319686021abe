package normalize

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// judge works out from tshark's fields what a flow must say, under our names. It
// knows what the elements mean (RFC 7012, the vendors' documents), but nothing of
// how datagrams are read.
type judge struct {
	header map[string]string
	domain string
	// rates are by domain and sampler id, "" being all samplers; names are those of
	// applications by engine and selector.
	rates map[[2]string]string
	names map[string]string
	// boots are when exporters started, where their headers do not tell, by domain:
	// told by options, or else as early as no flow ends after its export.
	boots map[string]time.Time
	told  map[string]bool
}

func newJudge() *judge {
	return &judge{rates: map[[2]string]string{}, names: map[string]string{}, boots: map[string]time.Time{}, told: map[string]bool{}}
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// datagram takes in the header.
func (j *judge) datagram(d *dissected) {
	j.header = map[string]string{}
	for _, f := range d.header {
		j.header[f.name] = f.show
	}
	j.domain = j.header["source_id"] + j.header["od_id"]
	latest := int64(-1)
	for i := range d.records {
		latest = max(latest, millis(d.records[i].first("timeend")))
	}
	boot := tsharkTime(j.header["timestamp"]).Add(-time.Duration(latest) * time.Millisecond)
	if old, ok := j.boots[j.domain]; latest > 0 && !j.told[j.domain] && (!ok || boot.Before(old)) {
		j.boots[j.domain] = boot
	}
}

// decimalOf writes a number in decimal that tshark shows in either way.
func decimalOf(show string) string {
	if n, err := strconv.ParseUint(strings.ReplaceAll(show, ":", ""), 0, 64); err == nil {
		return strconv.FormatUint(n, 10)
	}
	return show
}

// renamed are fields that need no more than another name.
var renamed = map[string]string{
	"protocol": "proto", "inputint": "in_if", "outputint": "out_if", "tos": "ip_tos",
	"srcas": "src_as", "dstas": "dst_as", "ipv6flowlabel": "ipv6_flow_label", "ttl_min": "ip_ttl",
	"forwarding_status": "forwarding_status", "flow_end_reason": "flow_end_reason",
	"ingress_vrfid": "ingress_vrf_id", "egress_vrfid": "egress_vrf_id",
	"firewall_event": "firewall_event", "frag_ident": "fragment_id", "observation_point_id": "observation_point_id",
	"peer_dstas": "next_hop_as", "ethernet_type": "etype",
}

// firstOf are fields of which several may stand in a record: the first that says
// something counts.
var firstOf = map[string][]string{
	"next_hop": {"nexthop", "nexthopv6"}, "bgp_next_hop": {"bgpnexthop", "bgpnexthopv6"},
	"src_vlan": {"vlanid", "dot1q_vlan_id"}, "vlan_id": {"vlanid", "dot1q_vlan_id"}, "dst_vlan": {"post_vlanid"},
	"src_mac": {"srcmac", "post_srcmac"}, "dst_mac": {"dstmac", "post_dstmac"},
	"post_src_addr": {"post_natsource_ipv4_address"}, "post_dst_addr": {"post_natdestination_ipv4_address"},
	"src_net": {"srcmask", "srcmaskv6"}, "dst_net": {"dstmask", "dstmaskv6"},
}

// flow is what a record says of the flow there and of the flow back.
func (j *judge) flow(r *dissectedRecord) (there, back map[string]string) {
	if r.first("sampletype") != "" {
		return j.sample(r), nil
	}
	w := map[string]string{}
	for name, our := range renamed {
		if s := r.all(name); len(s) > 0 {
			w[our] = decimalOf(s[0])
		}
	}
	for our, names := range firstOf {
		for _, name := range names {
			if s := r.first(name); s != "" && plain(w[our]) == "" {
				w[our] = s
			}
		}
	}
	j.addresses(r, w)
	j.ports(r, w)
	j.times(r, w)
	j.sampling(r, w)
	if s := r.first("direction"); s != "" {
		w["direction"] = map[string]string{"0": "DIRECTION_INGRESS", "1": "DIRECTION_EGRESS"}[s]
	}
	if s := r.first("tcpflags"); s != "" {
		w["tcp_flags"] = decimalOf(s)
	}
	if labels := r.all("mpls_label"); labels != nil {
		labels = slices.DeleteFunc(slices.Clone(labels), func(s string) bool { return s == "0" })
		w["mpls_label"] = "[" + strings.Join(labels, ",") + "]"
	}
	if engine, selector := r.first("appl_id.classification_engine_id"), r.first("appl_id.selector_id"); selector != "" {
		id := engine + ":" + strings.TrimLeft(strings.ReplaceAll(selector, ":", ""), "0")
		if n, err := strconv.ParseUint(strings.ReplaceAll(selector, ":", ""), 16, 64); err == nil {
			id = fmt.Sprintf("%s:%d", engine, n)
		}
		w["application"] = id
		if j.names[id] != "" {
			w["application"] = j.names[id]
		}
	}
	if s := r.first("appl_name"); s != "" {
		w["application"] = s
	}
	if s := r.first("pie.ixia.l7-application-name"); s != "" {
		w["application"] = s
	}
	if s := r.first("aaa_username"); s != "" {
		w["user"] = s
	}
	for _, name := range []string{"ingress_acl_id", "egress_acl_id"} { // three numbers of four bytes
		if s := strings.ReplaceAll(r.first(name), ":", ""); strings.Trim(s, "0") != "" && w["firewall_rule"] == "" {
			w["firewall_rule"] = s[:8] + "-" + s[8:16] + "-" + s[16:]
		}
	}
	for _, name := range []string{"toplabeladdr", "toplabeladdr_v6"} {
		if s := r.first(name); plain(s) != "" {
			w["mpls_ip"] = "[" + s + "]"
		}
	}
	back = maps.Clone(w)
	for a, b := range map[string]string{
		"src_addr": "dst_addr", "src_port": "dst_port", "in_if": "out_if", "src_as": "dst_as", "src_mac": "dst_mac",
		"src_net": "dst_net", "ingress_vrf_id": "egress_vrf_id",
	} {
		back[a], back[b] = w[b], w[a]
	}
	for our, name := range map[string]string{"tcp_flags": "tcpflags[reverse]", "ip_tos": "tos[reverse]", "src_vlan": "vlanid[reverse]"} {
		if s := r.first(name); s != "" {
			back[our] = decimalOf(s)
		}
	}
	delete(back, "icmp_type") // that of the answer
	delete(back, "application")
	j.counts(r, w, back)
	j.yaf(r, w, back)
	return w, back
}

// first is the first value of a field.
func (r *dissectedRecord) first(name string) string {
	if shows := r.all(name); shows != nil {
		return shows[0]
	}
	return ""
}

// addresses takes those of the family that is used; of two, the one that stands first,
// since the outer packet's elements come before the inner one's (RFC 7011 §8).
func (j *judge) addresses(r *dissectedRecord, w map[string]string) {
	four := [2]string{r.first("srcaddr"), r.first("dstaddr")}
	six := [2]string{r.first("srcaddrv6"), r.first("dstaddrv6")}
	got := four
	if plain(four[0])+plain(four[1]) == "" || plain(six[0])+plain(six[1]) != "" && r.before("srcaddrv6", "srcaddr") {
		got = six
	}
	w["src_addr"], w["dst_addr"] = got[0], got[1]
}

// before tells whether a field stands before another.
func (r *dissectedRecord) before(a, b string) bool {
	at := func(name string) int {
		return slices.IndexFunc(r.fields, func(f labelled) bool { return f.name == name })
	}
	return at(a) < at(b)
}

// ports takes the ports, or of ICMP its type and code: from their own fields, else
// from the port of the destination (Cisco's way).
func (j *judge) ports(r *dissectedRecord, w map[string]string) {
	source, destination := r.first("srcport"), r.first("dstport")
	postSource, postDestination := r.first("post_naptsource_transport_port"), r.first("post_naptdestination_transport_port")
	if p := w["proto"]; p != "1" && p != "58" {
		w["src_port"], w["dst_port"], w["post_src_port"], w["post_dst_port"] = source, destination, postSource, postDestination
		return
	}
	w["src_port"], w["dst_port"], w["post_src_port"], w["post_dst_port"] = "0", "0", "0", "0"
	for _, v := range []string{"icmp_ipv4", "icmp_ipv6"} {
		if s := r.first(v + "_type"); s != "" && plain(w["icmp_type"]) == "" {
			w["icmp_type"], w["icmp_code"] = s, r.first(v+"_code")
			return
		}
	}
	both := decimalOf(r.first("icmp_type_code_ipv4"))
	if plain(both) == "" && plain(source) == "" {
		both = destination
	}
	n, _ := strconv.ParseUint(both, 10, 32)
	w["icmp_type"], w["icmp_code"] = strconv.FormatUint(n>>8, 10), strconv.FormatUint(n&255, 10)
}

// counts takes volume: what changed before what is so far, and what left the router
// only where nothing else is told.
func (j *judge) counts(r *dissectedRecord, w, back map[string]string) {
	for our, names := range map[string][]string{
		"bytes": {"octets", "permanent_octets", "initiator_octets", "post_octets"}, "packets": {"packets", "permanent_packets", "post_packets"},
	} {
		for _, name := range names {
			if s := r.first(name); s != "" && w[our] == "" {
				w[our] = s
			}
			if s := r.first(name + "[reverse]"); s != "" && back[our] == "" {
				back[our] = s
			}
		}
	}
}

// yaf takes the flags that YAF has elements of its own for.
func (j *judge) yaf(r *dissectedRecord, w, back map[string]string) {
	flags := func(number string) uint64 {
		b, _ := hex.DecodeString(r.first(`"CERT_Coordination_Center"/` + number))
		return uintOf(b)
	}
	delta, _ := hex.DecodeString(strings.ReplaceAll(r.first(`"CERT_Coordination_Center"/21`), ":", ""))
	if start, err := time.Parse(time.RFC3339Nano, back["time_flow_start"]); err == nil {
		end, _ := time.Parse(time.RFC3339Nano, back["time_flow_end"])
		start = start.Add(time.Duration(uintOf(delta)) * time.Millisecond)
		back["time_flow_start"], back["duration"] = start.Format(time.RFC3339Nano), end.Sub(start).String()
	}
	if r.first(`"CERT_Coordination_Center"/14`) == "" {
		return
	}
	w["initial_tcp_flags"], w["tcp_flags"] = fmt.Sprint(flags("14")), fmt.Sprint(flags("14")|flags("15"))
	back["initial_tcp_flags"], back["tcp_flags"] = fmt.Sprint(flags("16398")), fmt.Sprint(flags("16398")|flags("16399"))
}

// event is what a record says of an event.
func (j *judge) event(r *dissectedRecord) map[string]string {
	w, _ := j.flow(r)
	e := map[string]string{}
	for _, our := range []string{
		"src_addr", "dst_addr", "src_port", "dst_port", "proto", "in_if", "out_if", "icmp_type", "icmp_code", "post_src_addr", "post_dst_addr",
		"post_src_port", "post_dst_port", "firewall_event", "firewall_rule", "bytes", "packets",
	} {
		if s, ok := w[our]; ok {
			e[our] = s
		}
	}
	for our, name := range map[string]string{
		"nat_event": "nat_event", "connection_id": "flow_id", "firewall_ext_event": "fw_ext_event", "user": "aaa_username",
	} {
		if s := r.first(name); s != "" {
			e[our] = s
		}
	}
	for our, name := range map[string]string{"bytes": "permanent_octets", "packets": "permanent_packets"} {
		if plain(e[our]) == "" && r.first(name) != "" {
			e[our] = r.first(name)
		}
	}
	if at := tsharkTime(r.first("observation_time_milliseconds")); !at.IsZero() {
		e["time_event"] = at.Format(time.RFC3339Nano)
	}
	return e
}
