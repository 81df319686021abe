package biflow

import (
	"net/netip"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// service is "network proto first last"; network * is anywhere.
func service(network string, protocol, first, last uint32) *flowv1.KnownService {
	s := &flowv1.KnownService{Proto: protocol, Ports: []*flowv1.PortRange{{First: first, Last: last}}}
	if network != "*" {
		p := netip.MustParsePrefix(network)
		s.Addr, s.PrefixLength = p.Addr().AsSlice(), uint32(p.Bits())
	}
	return s
}

func declare(services ...*flowv1.KnownService) *flowv1.Policy {
	return &flowv1.Policy{Version: 1, Services: services}
}

func TestStandingByPolicy(t *testing.T) {
	table := New(Default())
	if err := table.Policy(declare(
		service("10.0.0.0/8", 6, 40000, 40010),
		service("10.1.0.0/16", 6, 40005, 40020),
		service("*", 6, 40008, 40008), service("192.0.2.1/32", 6, 40008, 40008),
		service("2001:db8::/32", 17, 65535, 65535))); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		addr  string
		proto uint8
		port  uint16
		want  standing
	}{
		{"10.2.3.4", 6, 40000, declaredHere},
		{"10.2.3.4", 6, 40011, unlisted},
		{"10.1.3.4", 6, 40011, declaredHere}, // in a smaller network
		{"11.2.3.4", 6, 40000, unlisted},
		{"11.2.3.4", 6, 40008, declaredAnywhere},
		{"192.0.2.1", 6, 40008, declaredHere}, // here is more than anywhere
		{"10.2.3.4", 17, 40000, unlisted},
		{"2001:db8::1", 17, 65535, declaredHere},
		{"2001:db9::1", 17, 65535, unlisted},
		{"2001:db8::1", 6, 40000, unlisted},
	} {
		addr := flow.AddrFrom(netip.MustParseAddr(c.addr).AsSlice())
		if got := table.declared.standing(c.proto, &addr, c.port); got != c.want {
			t.Errorf("%+v: got %d", c, got)
		}
	}
}

// What a policy declares weighs more than the registry's guess, in the place of
// known server ports among the evidence.
func TestDeclaredServers(t *testing.T) {
	const client, server = "10.0.0.1:443", "10.0.0.2:40000" // the registry takes the client for the server
	at, anywhere := service("10.0.0.2/32", 17, 40000, 40000), service("*", 17, 39000, 41000)
	apart := func(f *flowv1.Flow) *flowv1.Flow {
		return with(f, func(f *flowv1.Flow) { f.ReverseObservable = false })
	}
	both := []*flowv1.Flow{udp(client, server, 0, 5, 3), udp(server, client, 0, 5, 2)}
	for _, test := range []struct {
		name   string
		policy *flowv1.Policy
		in     []*flowv1.Flow
		want   string
	}{
		{"without a policy the registry decides", nil, both,
			"10.0.0.2:40000>10.0.0.1:443 2/3 known_port 0.85 established idle\n"},
		{"an empty policy is none", declare(), both,
			"10.0.0.2:40000>10.0.0.1:443 2/3 known_port 0.85 established idle\n"},
		{"the server's address and port", declare(at), both,
			"10.0.0.1:443>10.0.0.2:40000 3/2 known_port 0.95 established idle\n"},
		{"a port of whatever server", declare(anywhere), both,
			"10.0.0.1:443>10.0.0.2:40000 3/2 known_port 0.88 established idle\n"},
		{"another protocol, another address", declare(service("10.0.0.2/32", 6, 40000, 40000), service("10.0.0.3/32", 17, 40000, 40000)), both,
			"10.0.0.2:40000>10.0.0.1:443 2/3 known_port 0.85 established idle\n"},
		{"the address outweighs a port of whatever server", declare(at, service("*", 17, 443, 443)), both,
			"10.0.0.1:443>10.0.0.2:40000 3/2 known_port 0.95 established idle\n"},
		{"both ends declared: the ports tell no more", declare(at, service("10.0.0.1/32", 17, 443, 443)), both,
			"10.0.0.2:40000>10.0.0.1:443 2/3 lower_port 0.75 established idle\n"},
		{"the same port at both ends, one is declared", declare(service("10.0.0.53/32", 17, 53, 53)),
			[]*flowv1.Flow{udp("10.0.0.1:53", "10.0.0.53:53", 0, 5, 1), udp("10.0.0.53:53", "10.0.0.1:53", 0, 5, 1)},
			"10.0.0.1:53>10.0.0.53:53 1/1 known_port 0.95 established idle\n"},
		{"only the answer was seen", declare(at), []*flowv1.Flow{apart(udp(server, client, 0, 5, 2))},
			"10.0.0.1:443>10.0.0.2:40000 0/2 known_port 0.95 reverse_unobserved idle\n"},
		{"the only side that spoke, though both would have been seen", declare(at), []*flowv1.Flow{udp(server, client, 0, 5, 2)},
			"10.0.0.1:443>10.0.0.2:40000 0/2 known_port 0.80 reverse_unobserved idle\n"},
		{"the only side that spoke is more than a port of whatever server", declare(anywhere), []*flowv1.Flow{udp(server, client, 0, 5, 2)},
			"10.0.0.2:40000>10.0.0.1:443 2/0 first_seen 0.65 unanswered idle\n"},
		{"who spoke first comes before it", declare(at), []*flowv1.Flow{udp(server, client, 0, 5, 2), udp(client, server, 1, 5, 3)},
			"10.0.0.2:40000>10.0.0.1:443 2/3 first_seen 0.75 established idle\n"},
		{"the exporter's word comes before it", declare(at),
			[]*flowv1.Flow{with(udp(server, client, 0, 5, 2), func(f *flowv1.Flow) { f.InitiatorHint = flowv1.InitiatorHint_INITIATOR_HINT_SOURCE })},
			"10.0.0.2:40000>10.0.0.1:443 2/0 exporter 0.97 unanswered idle\n"},
	} {
		table := New(Default())
		if err := table.Policy(test.policy); err != nil {
			t.Fatal(err)
		}
		var out []*flowv1.Biflow
		drive(table, test.in, func(b *flowv1.Biflow) { out = append(out, proto.Clone(b).(*flowv1.Biflow)) })
		if got := final(out); got != test.want {
			t.Errorf("%s:\ngot  %swant %s", test.name, got, test.want)
		}
	}
}

// A policy that makes no sense changes nothing.
func TestBadPolicyIsRefused(t *testing.T) {
	table := New(Default())
	if err := table.Policy(declare(service("*", 6, 1, 1))); err != nil {
		t.Fatal(err)
	}
	before := table.declared
	good := service("10.0.0.0/8", 6, 80, 80)
	for want, s := range map[string]*flowv1.KnownService{
		"services[1]: protocol 1 has no ports":                           service("*", 1, 1, 1),
		"services[1]: protocol 262 has no ports":                         service("*", 262, 1, 1),
		"services[1]: it has no ports":                                   {Proto: 6},
		"services[1]: 0 to 1 is no range of ports":                       service("*", 6, 0, 1),
		"services[1]: 2 to 1 is no range of ports":                       service("*", 6, 2, 1),
		"services[1]: 1 to 65536 is no range of ports":                   service("*", 6, 1, 65536),
		"services[1]: 8 bits of an address of 3 bytes are no network":    {Proto: 6, Addr: []byte{1, 2, 3}, PrefixLength: 8},
		"services[1]: 33 bits of an address of 4 bytes are no network":   {Proto: 6, Addr: []byte{1, 2, 3, 4}, PrefixLength: 33},
		"services[1]: 129 bits of an address of 16 bytes are no network": {Proto: 6, Addr: make([]byte, 16), PrefixLength: 129},
	} {
		if err := table.Policy(declare(good, s)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		if table.declared != before {
			t.Error("the policy was changed")
		}
	}
}
