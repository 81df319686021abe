package normalize

// op says what a step does with its field.
type op uint8

const (
	opNone op = iota
	opDual
	opSrcAddr
	opDstAddr
	opBytes
	opPackets
	opReverseBytes
	opReversePackets
	opProto
	opTos
	opDSCP
	opPrecedence
	opTCPFlags
	opSrcPort
	opDstPort
	opSrcNet
	opDstNet
	opInIf
	opOutIf
	opNextHop
	opSrcAS
	opDstAS
	opNextHopAS
	opBGPNextHop
	opFlowLabel
	opTTL
	opFragmentID
	opFragmentOffset
	opFragmentFlags
	opSrcMAC
	opDstMAC
	opSrcVLAN
	opDstVLAN
	opEtherType
	opDirection
	opForwardingStatus
	opEndReason
	opPointID
	opMPLSLabel
	opMPLSAddr
	opICMPTypeCode
	opICMPType
	opICMPCode
	opPostSrcAddr
	opPostDstAddr
	opPostSrcPort
	opPostDstPort
	opIngressVRF
	opEgressVRF
	opFirewallEvent
	opFirewallRule
	opRuleName
	opRuleNumber
	opInitialFlags
	opUnionFlags
	opBiflowDirection
	opReverseFlags
	opReverseInitialFlags
	opReverseUnionFlags
	opReverseTos
	opReverseVLAN
	opReverseEndReason
	opReverseDelta
	opReverseStartMillis
	opReverseEndMillis
	opReverseStartMicros
	opReverseEndMicros
	opConnection
	opSampler
	opInterval
	opPacketInterval
	opPacketSpace
	opSelectorAlgorithm
	opSamplingSize
	opSamplingPopulation
	opSamplingProbability
	opFlowSelector
	opFlowInterval
	opFlowSpace
	opApplicationID
	opApplicationName
	opPolicyAction
	opSegment
	opTunnelKey
	opUser
	opHTTPHost
	opHTTPURL
	opDNSName
	opStartNTP
	opStartNTPMicros
	opStartMillis
	opStartSeconds
	opStartDelta
	opStartUptime
	opEndNTP
	opEndNTPMicros
	opEndMillis
	opEndSeconds
	opEndDelta
	opEndUptime
	opSystemInit
	opDurationMillis
	opDurationMicros
	opObservedNTP
	opObservedNTPMicros
	opObservedMillis
	opObservedSeconds
)

// substitutes are elements that say, for templates without another, what that one does:
// ports and next headers by protocol, parts of the type of service, the interfaces that
// packets went through where no logical ones are told, and the VPN of Cisco's SD-WAN
// ("Traffic Flow Monitoring with Cflowd"), which is its VRF.
var substitutes = []struct {
	missing, element element
	op               op
}{
	{ieSrcPort, ieTCPSrcPort, opSrcPort}, {ieSrcPort, ieUDPSrcPort, opSrcPort},
	{ieDstPort, ieTCPDstPort, opDstPort}, {ieDstPort, ieUDPDstPort, opDstPort},
	{ieProtocol, ieNextHeader6, opProto},
	{ieClassOfService, ieDSCP, opDSCP}, {ieClassOfService, iePrecedence, opPrecedence},
	{ieIngressInterface, iePhysicalIngress, opInIf}, {ieEgressInterface, iePhysicalEgress, opOutIf},
	{ieIngressVRF, ieViptelaVPN, opIngressVRF},
}

// plainSteps are the elements that go to their place whatever else a template has.
var plainSteps = []struct {
	element element
	op      op
}{
	{ieProtocol, opProto}, {ieClassOfService, opTos}, {ieTCPFlags, opTCPFlags},
	{ieSrcPort, opSrcPort}, {ieDstPort, opDstPort},
	{ieSrcPrefix4, opSrcNet}, {ieDstPrefix4, opDstNet}, {ieSrcPrefix6, opSrcNet}, {ieDstPrefix6, opDstNet},
	{ieIngressInterface, opInIf}, {ieEgressInterface, opOutIf},
	{ieNextHop4, opNextHop}, {ieNextHop6, opNextHop}, {ieBGPNextHop4, opBGPNextHop}, {ieBGPNextHop6, opBGPNextHop},
	{ieSrcAS, opSrcAS}, {ieDstAS, opDstAS}, {ieBGPNextAS, opNextHopAS},
	{ieFlowLabel, opFlowLabel}, {ieMinTTL, opTTL}, {ieTTL, opTTL},
	{ieFragmentID, opFragmentID}, {ieFragmentOffset, opFragmentOffset}, {ieFragmentFlags, opFragmentFlags},
	{ieSrcMAC, opSrcMAC}, {iePostSrcMAC, opSrcMAC}, {ieDstMAC, opDstMAC}, {iePostDstMAC, opDstMAC},
	{ieVLAN, opSrcVLAN}, {ieDot1qVLAN, opSrcVLAN}, {iePostVLAN, opDstVLAN}, {iePostDot1qVLAN, opDstVLAN},
	{ieEtherType, opEtherType}, {ieDirection, opDirection}, {ieForwardingStatus, opForwardingStatus},
	{ieFlowEndReason, opEndReason}, {ieObservationPoint, opPointID},
	{ieMPLSTopLabelIPv4, opMPLSAddr}, {ieMPLSTopLabelIPv6, opMPLSAddr},
	{iePostSrcIPv4, opPostSrcAddr}, {iePostSrcIPv6, opPostSrcAddr}, {ieCiscoPostSrcIPv4, opPostSrcAddr},
	{iePostDstIPv4, opPostDstAddr}, {iePostDstIPv6, opPostDstAddr}, {ieCiscoPostDstIPv4, opPostDstAddr},
	{iePostSrcPort, opPostSrcPort}, {ieCiscoPostSrcPort, opPostSrcPort},
	{iePostDstPort, opPostDstPort}, {ieCiscoPostDstPort, opPostDstPort},
	{ieIngressVRF, opIngressVRF}, {ieEgressVRF, opEgressVRF},
	{ieFirewallEvent, opFirewallEvent}, {ieCiscoFirewallEvent, opFirewallEvent},
	{ieCiscoIngressACL, opFirewallRule}, {ieCiscoEgressACL, opFirewallRule},
	{ieBarracudaRule, opRuleName}, {ieVMwareRule, opRuleNumber},
	{ieAntreaEgressPolicy, opRuleName}, {ieAntreaIngressPolicy, opRuleName},
	{ieAntreaEgressAction, opPolicyAction}, {ieAntreaIngressAction, opPolicyAction},
	{ieLayer2Segment, opSegment}, {ieVMwareTunnelKey, opTunnelKey},
	{ieCERTInitialFlags, opInitialFlags}, {ieCERTUnionFlags, opUnionFlags}, {ieBiflowDirection, opBiflowDirection},
	{reverse(ieTCPFlags), opReverseFlags}, {ieCERTReverseInitial, opReverseInitialFlags}, {ieCERTReverseUnion, opReverseUnionFlags},
	{reverse(ieClassOfService), opReverseTos}, {reverse(ieVLAN), opReverseVLAN}, {reverse(ieFlowEndReason), opReverseEndReason},
	{ieCERTReverseDelta, opReverseDelta},
	{reverse(ieStartMillis), opReverseStartMillis}, {reverse(ieEndMillis), opReverseEndMillis},
	{reverse(ieStartMicros), opReverseStartMicros}, {reverse(ieEndMicros), opReverseEndMicros},
	{ieFlowID, opConnection},
	{ieSamplerID, opSampler}, {ieSelectorID, opSampler}, {ieSamplingInterval, opInterval}, {ieSamplerInterval, opInterval},
	{iePacketInterval, opPacketInterval}, {iePacketSpace, opPacketSpace}, {ieSelectorAlgorithm, opSelectorAlgorithm}, {ieSamplingSize, opSamplingSize},
	{ieSamplingPopulation, opSamplingPopulation}, {ieSamplingProbability, opSamplingProbability},
	{ieFlowSelector, opFlowSelector}, {ieFlowInterval, opFlowInterval}, {ieFlowSpacing, opFlowSpace},
	{ieApplicationID, opApplicationID}, {ieApplicationName, opApplicationName}, {iePANAppID, opApplicationName},
	{ieNprobeAppName, opApplicationName}, {ieNtopAppName, opApplicationName}, {ieIxiaAppName, opApplicationName},
	{ieCiscoUser, opUser}, {ieUserName, opUser}, {iePANUserID, opUser},
	{ieHTTPHost, opHTTPHost}, {ieHTTPTarget, opHTTPURL}, {ieNprobeHTTPURL, opHTTPURL}, {ieNtopHTTPURL, opHTTPURL},
	{ieFlowmonHTTPHost, opHTTPHost}, {ieFlowmonHTTPURL, opHTTPURL},
	{ieNprobeDNSQuery, opDNSName}, {ieNtopDNSQuery, opDNSName}, {ieCESNETDNSName, opDNSName},
}
