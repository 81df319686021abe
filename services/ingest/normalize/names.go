package normalize

import (
	"strconv"
	"strings"

	"github.com/netsampler/goflow2/v2/decoders/netflow"
)

// vendorName gives the names of enterprise elements, and of those numbers of
// v9 that lie beyond IANA's, as their makers give them.
func vendorName(e element) string {
	switch e.pen() {
	case 0:
		return v9Name(e.id())
	case penCERT:
		return certName(e.id())
	case penNetscaler:
		return netscalerName(e.id())
	case penIxia:
		return ixiaName(e.id())
	case penVMware:
		return vmwareName(e.id())
	case penCisco:
		return ciscoName(e.id())
	case penNokia:
		return nokiaName(e.id())
	case penBarracuda:
		return barracudaName(e.id())
	case penViptela:
		if e == ieViptelaVPN {
			return "vpnIdentifier"
		}
	}
	return ""
}

func v9Name(id uint16) string {
	switch element(id) {
	case 87:
		return "flagsAndSamplerId"
	case ieCiscoIngressACL:
		return "ingressAclId"
	case ieCiscoEgressACL:
		return "egressAclId"
	case ieCiscoExtEvent:
		return "firewallExtendedEvent"
	case ieCiscoUser:
		return "aaaUsername"
	case ieCiscoPostSrcIPv4:
		return "xlateSourceAddressIPv4"
	case ieCiscoPostDstIPv4:
		return "xlateDestinationAddressIPv4"
	case ieCiscoPostSrcPort:
		return "xlateSourcePort"
	case ieCiscoPostDstPort:
		return "xlateDestinationPort"
	case ieCiscoFirewallEvent:
		return "firewallEvent"
	case iePANAppID:
		return "paloAltoApplication"
	case iePANUserID:
		return "paloAltoUser"
	case 57590:
		return "l7Protocol"
	case ieNprobeAppName:
		return "l7ProtocolName"
	case ieNprobeHTTPURL:
		return "httpUrl"
	case ieNprobeDNSQuery:
		return "dnsQuery"
	}
	return ""
}

func certName(id uint16) string {
	switch id {
	case 14:
		return "initialTCPFlags"
	case 15:
		return "unionTCPFlags"
	case 21:
		return "reverseFlowDeltaMilliseconds"
	case 33:
		return "silkAppLabel"
	case 40:
		return "flowAttributes"
	case 100:
		return "expiredFragmentCount"
	case 101:
		return "assembledFragmentCount"
	case 102:
		return "meanFlowRate"
	case 103:
		return "meanPacketRate"
	case 104:
		return "flowTableFlushEventCount"
	case 105:
		return "flowTablePeakCount"
	case 16398:
		return "reverseInitialTCPFlags"
	case 16399:
		return "reverseUnionTCPFlags"
	case 16424:
		return "reverseFlowAttributes"
	}
	return ""
}

func netscalerName(id uint16) string {
	switch id {
	case 128:
		return "roundTripTime"
	case 129:
		return "transactionId"
	case 130:
		return "httpRequestUrl"
	case 131:
		return "httpRequestCookie"
	case 132:
		return "flowFlags"
	case 133:
		return "connectionId"
	case 140:
		return "httpRequestReferer"
	case 141:
		return "httpRequestMethod"
	case 142:
		return "httpRequestHost"
	case 143:
		return "httpRequestUserAgent"
	case 151:
		return "applicationNameAppId"
	case 158:
		return "httpResponseForwardedFirstByte"
	case 170:
		return "httpResponseForwardedLastByte"
	case 171:
		return "applicationUnitNameAppId"
	case 183:
		return "httpContentType"
	case 185:
		return "httpRequestAuthorization"
	case 186:
		return "httpRequestVia"
	case 190:
		return "httpRequestXForwardedFor"
	case 192:
		return "connectionChainId"
	case 193:
		return "connectionChainHopCount"
	case 205:
		return "aaaUsername"
	case 267:
		return "httpDomainName"
	}
	return ""
}

func ixiaName(id uint16) string {
	switch id {
	case 110:
		return "l7ApplicationId"
	case 111:
		return "l7ApplicationName"
	case 126:
		return "sourceIPLatitude"
	case 127:
		return "sourceIPLongitude"
	case 146:
		return "destinationIPLatitude"
	case 147:
		return "destinationIPLongitude"
	case 160:
		return "osDeviceId"
	case 161:
		return "osDeviceName"
	case 162:
		return "browserId"
	case 163:
		return "browserName"
	case 176:
		return "reverseOctetDeltaCount"
	case 177:
		return "reversePacketDeltaCount"
	}
	return ""
}

func nokiaName(id uint16) string {
	switch id {
	case 91:
		return "insideServiceId"
	case 92:
		return "outsideServiceId"
	case 93:
		return "natSubscriberString"
	}
	return ""
}

func barracudaName(id uint16) string {
	switch id {
	case 1:
		return "timestamp"
	case 2:
		return "logOp"
	case 3:
		return "trafficType"
	case 4:
		return "fwRule"
	case 5:
		return "serviceName"
	case 6:
		return "reason"
	case 7:
		return "reasonText"
	case 8:
		return "bindIPv4Address"
	case 9:
		return "bindTransportPort"
	case 10:
		return "connIPv4Address"
	case 11:
		return "connTransportPort"
	case 12:
		return "auditCounter"
	}
	return ""
}

// ciscoName names the elements of AVC.
func ciscoName(id uint16) string {
	switch id {
	case 12232:
		return "applicationCategoryName"
	case 12233:
		return "applicationSubCategoryName"
	case 12234:
		return "applicationGroupName"
	case 12235:
		return "subApplicationValue"
	case 12236:
		return "clientIPv4Address"
	case 12237:
		return "serverIPv4Address"
	case 12238:
		return "clientIPv6Address"
	case 12239:
		return "serverIPv6Address"
	case 12240:
		return "clientTransportPort"
	case 12241:
		return "serverTransportPort"
	case 12242:
		return "connectionId"
	case 12243:
		return "applicationTrafficClass"
	case 12244:
		return "applicationBusinessRelevance"
	}
	return ""
}

func vmwareName(id uint16) string {
	switch id {
	case 880:
		return "tenantProtocol"
	case 881:
		return "tenantSourceIPv4Address"
	case 882:
		return "tenantDestinationIPv4Address"
	case 883:
		return "tenantSourceIPv6Address"
	case 884:
		return "tenantDestinationIPv6Address"
	case 886:
		return "tenantSourcePort"
	case 887:
		return "tenantDestinationPort"
	case 888:
		return "egressInterfaceAttr"
	case 889:
		return "vxlanExportRole"
	case 890:
		return "ingressInterfaceAttr"
	case 898:
		return "virtualObsId"
	case 950:
		return "ruleId"
	case 951:
		return "vmUuid"
	case 952:
		return "vnicIndex"
	case 953:
		return "sessionFlags"
	case 954:
		return "flowDirection"
	case 955:
		return "algControlFlowId"
	case 956:
		return "algType"
	case 957:
		return "algFlowType"
	case 958:
		return "averageLatency"
	case 959:
		return "retransmissionCount"
	case 960:
		return "vifUuid"
	case 961:
		return "vifId"
	}
	return ""
}

// namer gives elements their names. IANA's come from goflow2, which builds its
// whole table for every question; so each answer is kept.
type namer struct{ iana map[uint16]string }

// name is what attributes call an element: IANA's name, or the vendor's; for
// elements of the way back, IANA's with "reverse" before it; else numbers.
func (n *namer) name(e element) string {
	if s := vendorName(e); s != "" {
		return s
	}
	switch e.pen() {
	case 0:
		if s := n.ianaName(e.id()); s != "" {
			return s
		}
		return "element" + strconv.Itoa(int(e.id()))
	case penReverse:
		if s := n.ianaName(e.id()); s != "" {
			return "reverse" + strings.ToUpper(s[:1]) + s[1:]
		}
	}
	return "element" + strconv.FormatUint(uint64(e.pen()), 10) + "/" + strconv.Itoa(int(e.id()))
}

func (n *namer) ianaName(id uint16) string {
	if id == 0 || id > 467 {
		return ""
	}
	if s, ok := n.iana[id]; ok {
		return s
	}
	s := netflow.IPFIXTypeToString(id)
	if strings.ContainsRune(s, ' ') {
		s = "" // "Assigned for NetFlow v9 compatibility", "Unassigned"
	}
	if n.iana == nil {
		n.iana = map[uint16]string{}
	}
	n.iana[id] = s
	return s
}

// scopeName is what attributes call a scope of a v9 options template (RFC 3954 §6.1).
func scopeName(id uint16) string {
	switch id {
	case scopeSystem:
		return "scopeSystem"
	case scopeInterface:
		return "scopeInterface"
	case scopeLineCard:
		return "scopeLineCard"
	case scopeCache:
		return "scopeCache"
	case scopeTemplate:
		return "scopeTemplate"
	}
	return "scope" + strconv.Itoa(int(id))
}

// Scopes of v9 options templates.
const (
	scopeSystem    = 1
	scopeInterface = 2
	scopeLineCard  = 3
	scopeCache     = 4
	scopeTemplate  = 5
)
