package vpc

import (
	"fmt"
	"strings"
)

// field is a column of a flow log.
type field uint8

// Columns with a meaning of their own. All others are kept by name.
const (
	fieldOther field = iota
	fieldVersion
	fieldAccountID
	fieldInterfaceID
	fieldSrcAddr
	fieldDstAddr
	fieldSrcPort
	fieldDstPort
	fieldProtocol
	fieldPackets
	fieldBytes
	fieldStart
	fieldEnd
	fieldAction
	fieldLogStatus
	fieldVpcID
	fieldSubnetID
	fieldInstanceID
	fieldTCPFlags
	fieldType
	fieldPktSrcAddr
	fieldPktDstAddr
	fieldRegion
	fieldAzID
	fieldSublocationType
	fieldSublocationID
	fieldPktSrcService
	fieldPktDstService
	fieldFlowDirection
	fieldTrafficPath
	fieldRejectReason
	fieldResourceID
	fieldEncryptionStatus
	fieldTgwID
	fieldTgwAttachmentID
)

// fieldNames are the columns of versions 2 to 10: 6 is transit gateways, 7 is ECS.
var fieldNames = map[string]field{
	"version": fieldVersion, "account-id": fieldAccountID, "interface-id": fieldInterfaceID,
	"srcaddr": fieldSrcAddr, "dstaddr": fieldDstAddr, "srcport": fieldSrcPort, "dstport": fieldDstPort,
	"protocol": fieldProtocol, "packets": fieldPackets, "bytes": fieldBytes, "start": fieldStart, "end": fieldEnd,
	"action": fieldAction, "log-status": fieldLogStatus,
	"vpc-id": fieldVpcID, "subnet-id": fieldSubnetID, "instance-id": fieldInstanceID, "tcp-flags": fieldTCPFlags,
	"type": fieldType, "pkt-srcaddr": fieldPktSrcAddr, "pkt-dstaddr": fieldPktDstAddr,
	"region": fieldRegion, "az-id": fieldAzID, "sublocation-type": fieldSublocationType, "sublocation-id": fieldSublocationID,
	"pkt-src-aws-service": fieldPktSrcService, "pkt-dst-aws-service": fieldPktDstService,
	"flow-direction": fieldFlowDirection, "traffic-path": fieldTrafficPath,
	"tgw-id": fieldTgwID, "tgw-attachment-id": fieldTgwAttachmentID,
	"reject-reason": fieldRejectReason, "resource-id": fieldResourceID, "encryption-status": fieldEncryptionStatus,

	// Only kept:
	"resource-type": fieldOther, "tgw-src-vpc-account-id": fieldOther, "tgw-dst-vpc-account-id": fieldOther,
	"tgw-src-vpc-id": fieldOther, "tgw-dst-vpc-id": fieldOther, "tgw-src-subnet-id": fieldOther, "tgw-dst-subnet-id": fieldOther,
	"tgw-src-eni": fieldOther, "tgw-dst-eni": fieldOther, "tgw-src-az-id": fieldOther, "tgw-dst-az-id": fieldOther,
	"tgw-pair-attachment-id": fieldOther, "packets-lost-no-route": fieldOther, "packets-lost-blackhole": fieldOther,
	"packets-lost-mtu-exceeded": fieldOther, "packets-lost-ttl-expired": fieldOther, "ecs-cluster-arn": fieldOther,
	"ecs-cluster-name": fieldOther, "ecs-container-instance-arn": fieldOther, "ecs-container-instance-id": fieldOther,
	"ecs-container-id": fieldOther, "ecs-second-container-id": fieldOther, "ecs-service-name": fieldOther,
	"ecs-task-definition-arn": fieldOther, "ecs-task-arn": fieldOther, "ecs-task-id": fieldOther,
}

// format is the columns of a line, in order.
type format struct {
	fields []field
	// names are AWS's, underscored.
	names []string
}

var defaultFormat = mustFormat("version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status")

func mustFormat(s string) *format {
	f, err := parseFormat(s)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return f
}

// parseFormat reads a format as it was given to AWS, with or without ${ }, or a
// header line. Names that AWS may add some day are taken too.
func parseFormat(s string) (*format, error) {
	f := &format{}
	seen := map[string]bool{}
	for token := range strings.FieldsSeq(s) {
		name := token
		if inner, ok := strings.CutPrefix(token, "${"); ok {
			if name, ok = strings.CutSuffix(inner, "}"); !ok {
				return nil, fmt.Errorf("%q does not end with }: separate the fields by blanks, as in ${version} ${account-id}", token)
			}
		}
		if !IsField(name) {
			return nil, fmt.Errorf("%q is no name of a field: AWS writes them as in ${pkt-srcaddr}", token)
		}
		name = strings.ReplaceAll(name, "_", "-")
		if seen[name] {
			return nil, fmt.Errorf("%q is there twice: keep one of them", token)
		}
		seen[name] = true
		f.fields = append(f.fields, fieldNames[name])
		f.names = append(f.names, strings.ReplaceAll(name, "-", "_"))
	}
	return f, f.check(seen)
}

// check tells what a format lacks to make flows of its lines.
func (f *format) check(has map[string]bool) error {
	for _, need := range [][2]string{{"srcaddr", "pkt-srcaddr"}, {"dstaddr", "pkt-dstaddr"}, {"start", "end"}} {
		if !has[need[0]] && !has[need[1]] {
			return fmt.Errorf("neither %s nor %s is there: without them no line tells of a flow", need[0], need[1])
		}
	}
	return nil
}

// IsField tells whether a word is written like the name of a field: lower-case letters
// and digits between hyphens, or underscores as in Parquet, a letter first.
func IsField(s string) bool {
	if s == "" || s[0] < 'a' || s[0] > 'z' || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c != '-' && c != '_' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// headerFormat is the format that a header line names; nil if the line is none.
// No data can look like it: of data, one field at least is a number or a dash.
func headerFormat(line string) *format {
	if line[0] < 'a' || line[0] > 'z' {
		return nil
	}
	known, n := 0, 0
	for token := range strings.FieldsSeq(line) {
		if !IsField(token) {
			return nil
		}
		if _, ok := fieldNames[strings.ReplaceAll(token, "_", "-")]; ok {
			known++
		}
		n++
	}
	if known < 3 || 4*known < n {
		return nil
	}
	f, err := parseFormat(line)
	if err != nil {
		return nil // becomes a dead letter, and so do the lines that do not fit the format before
	}
	return f
}
