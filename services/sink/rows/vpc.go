package rows

import (
	"strconv"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// appendVpc appends what an AWS VPC flow log said, by AWS's names.
func appendVpc(dst []Pair, v *flowv1.Vpc) []Pair {
	if v == nil {
		return dst
	}
	set := func(name, value string) {
		if value != "" {
			dst = append(dst, Pair{name, text(value)})
		}
	}
	set("account_id", v.AccountId)
	set("interface_id", v.InterfaceId)
	set("vpc_id", v.VpcId)
	set("subnet_id", v.SubnetId)
	set("instance_id", v.InstanceId)
	set("action", v.Action)
	set("log_status", v.LogStatus)
	set("pkt_srcaddr", addrText(v.PktSrcaddr))
	set("pkt_dstaddr", addrText(v.PktDstaddr))
	set("region", v.Region)
	set("az_id", v.AzId)
	set("sublocation_type", v.SublocationType)
	set("sublocation_id", v.SublocationId)
	set("pkt_src_aws_service", v.PktSrcAwsService)
	set("pkt_dst_aws_service", v.PktDstAwsService)
	set("flow_direction", v.FlowDirection)
	if v.TrafficPath != 0 {
		set("traffic_path", strconv.FormatUint(uint64(v.TrafficPath), 10))
	}
	set("reject_reason", v.RejectReason)
	set("resource_id", v.ResourceId)
	set("encryption_status", v.EncryptionStatus)
	set("srcaddr", addrText(v.Srcaddr))
	set("dstaddr", addrText(v.Dstaddr))
	for _, a := range v.Attributes {
		set(a.Name, a.Value)
	}
	return dst
}
