package normalize

// element identifies an information element: the private enterprise number
// above, the element's number below. NetFlow v9 has no enterprises; its vendors
// use numbers above 32767.
type element uint64

func elementOf(pen uint32, id uint16) element { return element(pen)<<16 | element(id) }

func (e element) pen() uint32 { return uint32(e >> 16) }
func (e element) id() uint16  { return uint16(e) }

// Enterprise numbers (IANA) that have elements we know.
const (
	penReverse   = 29305 // RFC 5103: the element of the way back
	penNetscaler = 5951
	penCERT      = 6871
	penIxia      = 3054
	penNtop      = 35632
	penVMware    = 6876
	penAntrea    = 56506
	penCESNET    = 8057
	penFlowmon   = 39499
	penHuawei    = 2011
	penCisco     = 9
	penViptela   = 41916
	penBarracuda = 10704
	penNokia     = 637
)

// Elements of Cisco AVC are its enterprise's; v9, which has no enterprises, adds 0x8000 to
// their numbers.
const firstAVC, lastAVC = 12232, 12244

// v9Element is the element of a number of v9.
func v9Element(id uint16) element {
	if id >= 0x8000|firstAVC && id <= 0x8000|lastAVC {
		return elementOf(penCisco, id&^0x8000)
	}
	return element(id)
}

// reverse is the element of the way back (RFC 5103 §6.1).
func reverse(e element) element { return elementOf(penReverse, e.id()) }

// Information elements by their IANA names.
const (
	ieOctetDelta             element = 1
	iePacketDelta            element = 2
	ieFlowCount              element = 3
	ieProtocol               element = 4
	ieClassOfService         element = 5
	ieTCPFlags               element = 6
	ieSrcPort                element = 7
	ieSrcIPv4                element = 8
	ieSrcPrefix4             element = 9
	ieIngressInterface       element = 10
	ieDstPort                element = 11
	ieDstIPv4                element = 12
	ieDstPrefix4             element = 13
	ieEgressInterface        element = 14
	ieNextHop4               element = 15
	ieSrcAS                  element = 16
	ieDstAS                  element = 17
	ieBGPNextHop4            element = 18
	ieEndUptime              element = 21
	ieStartUptime            element = 22
	iePostOctetDelta         element = 23
	iePostPacketDelta        element = 24
	ieSrcIPv6                element = 27
	ieDstIPv6                element = 28
	ieSrcPrefix6             element = 29
	ieDstPrefix6             element = 30
	ieFlowLabel              element = 31
	ieICMPTypeCode4          element = 32
	ieSamplingInterval       element = 34
	ieActiveTimeout          element = 36
	ieIdleTimeout            element = 37
	ieExportedOctets         element = 40
	ieExportedMessages       element = 41
	ieExportedFlows          element = 42
	ieSrcIPv4Prefix          element = 44
	ieDstIPv4Prefix          element = 45
	ieMPLSTopLabelIPv4       element = 47
	ieSamplerID              element = 48
	ieSamplerInterval        element = 50
	ieMinTTL                 element = 52
	ieFragmentID             element = 54
	iePostClassOfService     element = 55
	ieSrcMAC                 element = 56
	iePostDstMAC             element = 57
	ieVLAN                   element = 58
	iePostVLAN               element = 59
	ieIPVersion              element = 60
	ieDirection              element = 61
	ieNextHop6               element = 62
	ieBGPNextHop6            element = 63
	ieMPLSLabel1             element = 70
	ieMPLSLabel10            element = 79
	ieDstMAC                 element = 80
	iePostSrcMAC             element = 81
	ieInterfaceName          element = 82
	ieInterfaceDescription   element = 83
	ieSamplerName            element = 84
	ieOctetTotal             element = 85
	iePacketTotal            element = 86
	ieFragmentOffset         element = 88
	ieForwardingStatus       element = 89
	ieApplicationDescription element = 94
	ieApplicationID          element = 95
	ieApplicationName        element = 96
	ieLayer2SectionOffset    element = 102
	ieLayer2Section          element = 104 // as 315, before there was one
	ieBGPNextAS              element = 128
	ieFlowEndReason          element = 136
	ieObservationPoint       element = 138
	ieICMPTypeCode6          element = 139
	ieMPLSTopLabelIPv6       element = 140
	ieFlowID                 element = 148
	ieStartSeconds           element = 150
	ieEndSeconds             element = 151
	ieStartMillis            element = 152
	ieEndMillis              element = 153
	ieStartMicros            element = 154
	ieEndMicros              element = 155
	ieStartNanos             element = 156
	ieEndNanos               element = 157
	ieStartDeltaMicros       element = 158
	ieEndDeltaMicros         element = 159
	ieSystemInit             element = 160
	ieDurationMillis         element = 161
	ieDurationMicros         element = 162
	ieICMPType4              element = 176
	ieICMPCode4              element = 177
	ieICMPType6              element = 178
	ieICMPCode6              element = 179
	ieUDPSrcPort             element = 180
	ieUDPDstPort             element = 181
	ieTCPSrcPort             element = 182
	ieTCPDstPort             element = 183
	ieTTL                    element = 192
	ieNextHeader6            element = 193
	ieDSCP                   element = 195
	iePrecedence             element = 196
	ieFragmentFlags          element = 197
	iePadding                element = 210
	iePostSrcIPv4            element = 225
	iePostDstIPv4            element = 226
	iePostSrcPort            element = 227
	iePostDstPort            element = 228
	ieNATEvent               element = 230
	ieInitiatorOctets        element = 231
	ieResponderOctets        element = 232
	ieFirewallEvent          element = 233
	ieIngressVRF             element = 234
	ieEgressVRF              element = 235
	ieVRFName                element = 236
	ieBiflowDirection        element = 239
	ieDot1qVLAN              element = 243
	iePhysicalIngress        element = 252
	iePhysicalEgress         element = 253
	iePostDot1qVLAN          element = 254
	ieEtherType              element = 256
	ieCollectionMillis       element = 258
	iePostSrcIPv6            element = 281
	iePostDstIPv6            element = 282
	ieInitiatorPackets       element = 298
	ieResponderPackets       element = 299
	ieSelectorID             element = 302
	ieElementID              element = 303
	ieSelectorAlgorithm      element = 304
	iePacketInterval         element = 305
	iePacketSpace            element = 306
	ieTimeInterval           element = 307
	ieTimeSpace              element = 308
	ieSamplingSize           element = 309
	ieSamplingPopulation     element = 310
	ieSamplingProbability    element = 311
	ieBasicList              element = 291
	ieSubTemplateList        element = 292
	ieSubTemplateMultiList   element = 293
	ieFrameSize              element = 312
	ieIPHeaderSection        element = 313
	ieFrameSection           element = 315
	ieObservationSeconds     element = 322
	ieObservationMillis      element = 323
	ieObservationMicros      element = 324
	ieObservationNanos       element = 325
	ieHashOutputMin          element = 329
	ieHashOutputMax          element = 330
	ieHashSelectedMin        element = 331
	ieHashSelectedMax        element = 332
	ieElementDataType        element = 339
	ieElementName            element = 341
	ieEnterprise             element = 346
	ieLayer2Segment          element = 351
	ieUserName               element = 371
	ieFlowSelector           element = 390
	ieFlowInterval           element = 396
	ieFlowSpacing            element = 397
	ieFrameType              element = 408
	ieSectionOffset          element = 409
	ieHTTPHost               element = 460
	ieHTTPTarget             element = 461
	ieBGPCommunity           element = 483
	// Lists of BGP communities (RFC 8549).
	ieBGPSourceCommunities      element = 484
	ieBGPDestinationCommunities element = 485
	ieBGPSourceExtended         element = 487
	ieBGPDestinationExtended    element = 488
	ieBGPSourceLarge            element = 490
	ieBGPDestinationLarge       element = 491
	ieCiscoIngressACL           element = 33000 // v9: ACL, ACE and extended ACE, 4 bytes each
	ieCiscoEgressACL            element = 33001
	ieCiscoExtEvent             element = 33002
	ieCiscoUser                 element = 40000
	ieCiscoPostSrcIPv4          element = 40001
	ieCiscoPostDstIPv4          element = 40002
	ieCiscoPostSrcPort          element = 40003
	ieCiscoPostDstPort          element = 40004
	ieCiscoFirewallEvent        element = 40005
	iePANAppID                  element = 56701
	iePANUserID                 element = 56702
	ieNprobeAppName             element = 57591
	ieNprobeHTTPURL             element = 57652
	ieNprobeDNSQuery            element = 57677
)

// Enterprise elements.
const (
	ieCERTInitialFlags   = element(penCERT)<<16 | 14
	ieCERTUnionFlags     = element(penCERT)<<16 | 15
	ieCERTReverseInitial = element(penCERT)<<16 | 16398
	ieCERTReverseUnion   = element(penCERT)<<16 | 16399
	ieCERTReverseDelta   = element(penCERT)<<16 | 21 // milliseconds from start to the first packet back
	// Cisco AVC (Metric Definition Guide, "AVC-Related Exported Fields"): the host that
	// opened a connection, and the one that it called.
	ieCiscoClientIPv4 = element(penCisco)<<16 | 12236
	ieCiscoServerIPv4 = element(penCisco)<<16 | 12237
	ieCiscoClientIPv6 = element(penCisco)<<16 | 12238
	ieCiscoServerIPv6 = element(penCisco)<<16 | 12239
	ieCiscoClientPort = element(penCisco)<<16 | 12240
	ieCiscoServerPort = element(penCisco)<<16 | 12241

	ieIxiaAppName        = element(penIxia)<<16 | 111
	ieIxiaReverseOctets  = element(penIxia)<<16 | 176
	ieIxiaReversePackets = element(penIxia)<<16 | 177
	ieNtopAppName        = element(penNtop)<<16 | 119
	ieNtopHTTPURL        = element(penNtop)<<16 | 180
	ieNtopDNSQuery       = element(penNtop)<<16 | 205
	ieViptelaVPN         = element(penViptela)<<16 | 4321
	// HTTP, as ipfixprobe and Flowmon tell it (ipfixprobe, "HTTP plugin").
	ieFlowmonHTTPHost = element(penFlowmon)<<16 | 1
	ieFlowmonHTTPURL  = element(penFlowmon)<<16 | 2
	// Rules by name ("Reporting of Network Flow Information with IPFIX") and by number (NSX,
	// "IPFIX for the distributed firewall").
	ieBarracudaRule = element(penBarracuda)<<16 | 4
	ieVMwareRule    = element(penVMware)<<16 | 950
	// The virtual network of a tunnel (Open vSwitch).
	ieVMwareTunnelKey = element(penVMware)<<16 | 892
	// What network policies of Kubernetes did (Antrea, "Network Flow Visibility").
	ieAntreaIngressPolicy = element(penAntrea)<<16 | 110
	ieAntreaEgressPolicy  = element(penAntrea)<<16 | 112
	ieAntreaIngressAction = element(penAntrea)<<16 | 139
	ieAntreaEgressAction  = element(penAntrea)<<16 | 140
	// Nokia's NAT log (Multiservice ISA and ESA Guide, "Template formats"): who is translated,
	// with the address before translation behind an @.
	ieNokiaNATSubscriber  = element(penNokia)<<16 | 93
	ieNetscalerRequestURL = element(penNetscaler)<<16 | 130
)
