package vpc

import (
	"net/netip"
	"strconv"
	"strings"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// What log-status can say.
const (
	statusOK       = "OK"
	statusNoData   = "NODATA"
	statusSkipData = "SKIPDATA"
)

// record is a line taken apart.
type record struct {
	src, dst, pktSrc, pktDst netip.Addr
	srcPort, dstPort, proto  uint32
	packets, bytes           uint64
	hasPackets               bool
	startNs, endNs           uint64
	tcpFlags                 uint32
	status                   string
	tgw, attachment          string
	vpc                      fixed
	attributes               []attribute
}

// fixed is the texts of a flowv1.Vpc.
type fixed struct {
	account, iface, vpcID, subnet, instance, action, region, az string
	sublocationType, sublocationID, srcService, dstService      string
	direction, rejectReason, resource, encryption               string
	trafficPath                                                 uint32
}

type attribute struct{ name, value string }

// read takes a line apart; the answer says what is wrong with it, or nothing.
// Texts that are kept are shared by way of the map.
func (r *record) read(line string, f *format, texts map[string]string) (reason string) {
	*r = record{attributes: r.attributes[:0]}
	n := strings.Count(line, " ") + 1 // an upper bound, exact for what AWS writes
	if n > len(f.fields) {
		line = cutTimestamp(line, len(f.fields))
	}
	column := 0
	for token := range strings.FieldsSeq(line) {
		if column == len(f.fields) {
			return "wrong_field_count"
		}
		if token != "-" {
			if reason = r.set(f.fields[column], f.names[column], token, texts); reason != "" {
				return reason
			}
		}
		column++
	}
	if column != len(f.fields) {
		return "wrong_field_count"
	}
	return r.check()
}

// cutTimestamp takes off the time that CloudWatch puts before lines it exports.
func cutTimestamp(line string, columns int) string {
	first, rest, _ := strings.Cut(line, " ")
	if len(first) >= 20 && first[4] == '-' && first[10] == 'T' && strings.HasSuffix(first, "Z") && strings.Count(rest, " ") == columns-1 {
		return rest
	}
	return line
}

// check tells what a line lacks. A line without log-status is one with data.
func (r *record) check() (reason string) {
	if r.status == "" {
		r.status = statusOK
	}
	switch {
	case r.startNs == 0 && r.endNs == 0:
		return "without_time"
	case r.endNs == 0:
		r.endNs = r.startNs
	case r.startNs == 0:
		r.startNs = r.endNs
	}
	if r.status != statusOK {
		return ""
	}
	if !r.pktSrc.IsValid() {
		r.pktSrc = r.src
	}
	if !r.pktDst.IsValid() {
		r.pktDst = r.dst
	}
	if !r.pktSrc.IsValid() || !r.pktDst.IsValid() {
		return "without_address"
	}
	if r.pktSrc.Is4() != r.pktDst.Is4() {
		return "mixed_families"
	}
	return ""
}

// set takes in one field.
func (r *record) set(f field, name, value string, texts map[string]string) (reason string) {
	if p := r.text(f); p != nil {
		*p = intern(texts, value)
		return ""
	}
	switch f {
	case fieldSrcAddr:
		return address(&r.src, value)
	case fieldDstAddr:
		return address(&r.dst, value)
	case fieldPktSrcAddr:
		return address(&r.pktSrc, value)
	case fieldPktDstAddr:
		return address(&r.pktDst, value)
	case fieldSrcPort:
		return number(&r.srcPort, value, 0xffff)
	case fieldDstPort:
		return number(&r.dstPort, value, 0xffff)
	case fieldProtocol:
		return number(&r.proto, value, 0xff)
	case fieldTCPFlags:
		return number(&r.tcpFlags, value, 0xffff)
	case fieldTrafficPath:
		return number(&r.vpc.trafficPath, value, 0xffff)
	case fieldPackets:
		r.hasPackets = true
		return count(&r.packets, value, 1<<63)
	case fieldBytes:
		return count(&r.bytes, value, 1<<63)
	case fieldStart:
		return seconds(&r.startNs, value)
	case fieldEnd:
		return seconds(&r.endNs, value)
	case fieldVersion:
		var v uint32
		if number(&v, value, 999) != "" || v < 1 {
			return "bad_version"
		}
	case fieldLogStatus:
		switch value {
		case statusOK, statusNoData, statusSkipData:
			r.status = intern(texts, value)
		default:
			return "bad_log_status"
		}
	case fieldType:
		if value != "IPv4" && value != "IPv6" { // the addresses say as much
			r.attributes = append(r.attributes, attribute{name, intern(texts, value)})
		}
	default:
		r.attributes = append(r.attributes, attribute{name, intern(texts, value)})
	}
	return ""
}

// text is where a field that is just a text goes; nil for the others.
func (r *record) text(f field) *string {
	v := &r.vpc
	switch f {
	case fieldAccountID:
		return &v.account
	case fieldInterfaceID:
		return &v.iface
	case fieldAction:
		return &v.action
	case fieldVpcID:
		return &v.vpcID
	case fieldSubnetID:
		return &v.subnet
	case fieldInstanceID:
		return &v.instance
	case fieldRegion:
		return &v.region
	case fieldAzID:
		return &v.az
	case fieldSublocationType:
		return &v.sublocationType
	case fieldSublocationID:
		return &v.sublocationID
	case fieldPktSrcService:
		return &v.srcService
	case fieldPktDstService:
		return &v.dstService
	case fieldFlowDirection:
		return &v.direction
	case fieldRejectReason:
		return &v.rejectReason
	case fieldResourceID:
		return &v.resource
	case fieldEncryptionStatus:
		return &v.encryption
	case fieldTgwID:
		return &r.tgw
	case fieldTgwAttachmentID:
		return &r.attachment
	}
	return nil
}

// maxTexts bounds the texts that lines share.
const maxTexts = 1 << 16

// intern shares equal texts, which are few: ids, names, words. What is no UTF-8
// is replaced, since messages must not carry it.
func intern(texts map[string]string, s string) string {
	if t, ok := texts[s]; ok {
		return t
	}
	if len(texts) >= maxTexts {
		clear(texts)
	}
	t := strings.ToValidUTF8(strings.Clone(s), "\uFFFD")
	texts[strings.Clone(s)] = t
	return t
}

func address(to *netip.Addr, s string) (reason string) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return "bad_address"
	}
	*to = a.Unmap()
	return ""
}

func number(to *uint32, s string, limit uint64) (reason string) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n > limit {
		return "bad_number"
	}
	*to = uint32(n)
	return ""
}

func count(to *uint64, s string, limit uint64) (reason string) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n > limit {
		return "bad_number"
	}
	*to = n
	return ""
}

// maxSeconds is the year 2200: beyond, 64 bits of nanoseconds come to their end.
const maxSeconds = 7_258_118_400

func seconds(to *uint64, s string) (reason string) {
	var n uint64
	if count(&n, s, maxSeconds) != "" || n == 0 {
		return "bad_time"
	}
	*to = n * 1e9
	return ""
}

// message is the record's own fields as a flow carries them.
func (r *record) message(v *flowv1.Vpc) {
	t := &r.vpc
	v.AccountId, v.InterfaceId, v.VpcId, v.SubnetId, v.InstanceId = t.account, t.iface, t.vpcID, t.subnet, t.instance
	v.Action, v.LogStatus, v.Region, v.AzId = t.action, r.status, t.region, t.az
	v.SublocationType, v.SublocationId = t.sublocationType, t.sublocationID
	v.PktSrcAwsService, v.PktDstAwsService = t.srcService, t.dstService
	v.FlowDirection, v.TrafficPath = t.direction, t.trafficPath
	v.RejectReason, v.ResourceId, v.EncryptionStatus = t.rejectReason, t.resource, t.encryption
	for _, a := range r.others() {
		v.Attributes = append(v.Attributes, &flowv1.VpcAttribute{Name: a.name, Value: a.value})
	}
}

// others are the fields without a place of their own.
func (r *record) others() []attribute {
	for _, a := range []attribute{{"tgw_id", r.tgw}, {"tgw_attachment_id", r.attachment}} {
		if a.value != "" {
			r.attributes = append(r.attributes, a)
		}
	}
	return r.attributes
}
