package merge

import (
	"testing"

	"google.golang.org/protobuf/proto"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// TestFieldsAreMerged: what only one of several exporters knows is in the flow,
// and what each said stays under its name.
func TestFieldsAreMerged(t *testing.T) {
	const syn, ack, fin = 0x02, 0x10, 0x01
	with := func(f *flowv1.Flow, change func(*flowv1.Flow)) *flowv1.Flow {
		change(f)
		return f
	}
	router := with(report(1, 0, 5, 10), func(f *flowv1.Flow) { f.TcpFlags = syn | ack })
	firewall := with(report(2, 0, 5, 9), func(f *flowv1.Flow) {
		f.TcpFlags, f.User, f.FirewallRule, f.Application = syn|ack, "alice", "permit-web", "ssl"
		f.PostSrcAddr, f.PostSrcPort = []byte{203, 0, 113, 9}, 40001
	})
	sflow := with(report(3, 0, 5, 1), func(f *flowv1.Flow) {
		f.Type, f.SamplingRate, f.Application, f.TimeReceivedNs = flowv1.FlowType_FLOW_TYPE_SFLOW_5, 512, "https", second(4)
	})
	named := with(clone(router), func(f *flowv1.Flow) { f.Application = "web-browsing" })
	closing := with(clone(report(2, 0, 5, 9)), func(f *flowv1.Flow) { f.TcpFlags = syn | ack | fin })
	single := with(report(1, 0, 5, 1), func(f *flowv1.Flow) { f.TcpFlags, f.Bytes = syn, 5000 })
	longer := with(report(2, 0, 60, 9), func(f *flowv1.Flow) { f.TcpFlags, f.TimeReceivedNs = syn|ack|fin, second(6) })

	for _, c := range []struct {
		name string
		in   []*flowv1.Flow
		want *flowv1.Flow // of the fields spoken of here
	}{
		{"what a firewall knows", []*flowv1.Flow{router, firewall},
			&flowv1.Flow{TcpFlags: syn | ack, User: "alice", FirewallRule: "permit-web", Application: "ssl", PostSrcAddr: []byte{203, 0, 113, 9}, PostSrcPort: 40001}},
		{"a firewall knows better than a sampler", []*flowv1.Flow{router, sflow, firewall},
			&flowv1.Flow{TcpFlags: syn | ack, User: "alice", FirewallRule: "permit-web", Application: "ssl", PostSrcAddr: []byte{203, 0, 113, 9}, PostSrcPort: 40001}},
		{"the authority's word stays", []*flowv1.Flow{named, sflow},
			&flowv1.Flow{TcpFlags: syn | ack, Application: "web-browsing"}},
		{"flags of the same time are or-ed", []*flowv1.Flow{router, closing},
			&flowv1.Flow{TcpFlags: syn | ack | fin}},
		{"flags of a single packet tell more than or-ed ones", []*flowv1.Flow{single, closing},
			&flowv1.Flow{TcpFlags: syn}},
		{"flags of a longer time may be the next segment's", []*flowv1.Flow{router, longer},
			&flowv1.Flow{TcpFlags: syn | ack}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := play(Default(), cloned(c.in))
			if len(out) != 1 {
				t.Fatalf("%d flows come out, want 1:\n%s", len(out), lines(out))
			}
			f := out[0]
			got := &flowv1.Flow{TcpFlags: f.TcpFlags, User: f.User, FirewallRule: f.FirewallRule, Application: f.Application,
				PostSrcAddr: f.PostSrcAddr, PostSrcPort: f.PostSrcPort}
			if !proto.Equal(got, c.want) {
				t.Errorf("merged: %v\n  want: %v", got, c.want)
			}
			if len(f.Reporters) != len(c.in)-1 {
				t.Fatalf("%d reporters, want %d", len(f.Reporters), len(c.in)-1)
			}
			for i, r := range f.Reporters {
				said := c.in[i+1]
				if r.Application != said.Application || r.User != said.User || r.FirewallRule != said.FirewallRule ||
					r.TcpFlags != said.TcpFlags || r.PostSrcPort != said.PostSrcPort || string(r.PostSrcAddr) != string(said.PostSrcAddr) {
					t.Errorf("reporter %d: %v\n  said: %v", i, r, said)
				}
			}
		})
	}
}

func cloned(fs []*flowv1.Flow) (out []*flowv1.Flow) {
	for _, f := range fs {
		out = append(out, clone(f))
	}
	return out
}
