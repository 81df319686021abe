package normalize

import (
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// formsOf are the ways in which a value that tshark shows may be written.
func formsOf(show string) []string {
	forms := []string{show, decimalOf(show), strings.TrimRight(show, " ")}
	if a, err := netip.ParseAddr(show); err == nil {
		forms = append(forms, a.String())
	}
	if b, err := hex.DecodeString(strings.ReplaceAll(show, ":", "")); err == nil && strings.Contains(show, ":") || len(b) == 1 {
		forms = append(forms, hex.EncodeToString(b), strings.TrimRight(string(b), "\x00 "))
		if len(b) <= 8 {
			forms = append(forms, strconv.FormatUint(uintOf(b), 10))
		}
		if len(b) == 4 || len(b) == 16 {
			a, _ := netip.AddrFromSlice(b)
			forms = append(forms, a.String())
		}
	}
	if at := tsharkTime(show); !at.IsZero() {
		forms = append(forms, at.Format(time.RFC3339Nano))
	}
	return forms
}

// halves are what tshark makes two of that is one element, compared as application.
var halves = map[string]bool{"appl_id.classification_engine_id": true, "appl_id.selector_id": true}

// unkept are the fields of records that a flow has no place for, and why it needs none.
var unkept = func() map[string]string {
	all := map[string]string{}
	for why, names := range map[string]string{
		"said by the addresses or the protocol": "ip_version icmp_type_code_ipv4 icmp_type_code_ipv4[reverse] icmp_ipv6_type icmp_ipv6_code ipv6_next_hdr " +
			"is_multicast dstASentries as_type srcprefix ip_dscp eth.type vlan.etype dot1q_priority pri.in pri.out",
		"how, not how much": "sampling_algorithm selector_algorithm",
		"statistics of the flow that nothing asks for": "flows length_min length_max ttl_max delta_octets_squared multicast_replication_factor " +
			"tcp_seq_num tcp_seq_num[reverse] ipv6_exthdr toplabeltype localpref communityEntries",
		"of the router's own": "engine_id peer_srcas peerAS as dst_traffic_index src_traffic_index layer2_segment_id dot1q_customer_vlan_id",
		"elements of vendors without a place": `unknown_field_type pie.ixia pie.ixia.transact-latency-us pie.ixia.threat-ipv4 pie.ixia.src-as-name pie.ixia.dest-as-name ` +
			`pie.ixia.source-ip-longitude pie.ixia.source-ip-latitude pie.ixia.destination-ip-longitude pie.ixia.destination-ip-latitude pie.ixia.os-device-name ` +
			`pie.ixia.os-device-id pie.ixia.l7-application-id pie.ixia.browser-name pie.ixia.browser-id pie.ntop.l7_proto pie.ntop.l7_proto_name ` +
			`"VMware_Inc."/888 "VMware_Inc."/889 "VMware_Inc."/890 "CERT_Coordination_Center"/33 "CERT_Coordination_Center"/40 "CERT_Coordination_Center"/16424 ` +
			`"HUAWEI_Technology_Co.,Ltd"/232 "HUAWEI_Technology_Co.,Ltd"/701 "HUAWEI_Technology_Co.,Ltd"/702 "HUAWEI_Technology_Co.,Ltd"/703 "HUAWEI_Technology_Co.,Ltd"/704`,
		"Ixia's way back, which is one by a quirk alone":    "pie.ixia.reverse-packet-delta-count pie.ixia.reverse-octet-delta-count",
		"element 232, in Huawei's v9 no responder's octets": "responder_octets",
		"elements that this tshark does not know":           `"(null)"/492 "(null)"/493 "(null)"/495 "(null)"/498 "(null)"/515`,
		"a list, which it does not take apart":              `"(null)"/293`,
		"structure of sFlow, and what a flow of one packet has no use for": "enterprise flow_record_format header header_protocol header.payload_stripped " +
			"flow_sample.sequence_number flow_sample.sample_pool flow_sample.dropped_packets flow_sample.flow_record flow_sample.source_id_class flow_sample.index " +
			"flow_sample.source_id_type flow_sample.source_id_index flow_sample.output_interface flow_sample.output_interface_format flow_sample.output_interface.format " +
			"flow_sample.input_interface_format",
		"the outer packet's of a tunnel": "vxlan.vni ip.ttl ip.proto ip.len ip.id ip.frag_offset ip.dst ip.dsfield",
	} {
		for name := range strings.FieldsSeq(names) {
			all[name] = why
		}
	}
	return all
}()
