package normalize

import (
	"slices"
	"testing"
)

// TestRules: the rule that let a flow through, as firewalls name or number it.
func TestRules(t *testing.T) {
	f := func(name string, e element, value []byte, want string) {
		t.Helper()
		specs := slices.Concat(tuple, []spec{{ieFirewallEvent, 1}, {e, variable}})
		out := run(Default(), ipfix().template(300, specs...).
			set(300, joined(tupleValues(100, 2), values(1, firewallDeleted), text(string(value)))...).
			set(300, joined(tupleValues(0, 0), values(1, firewallDenied), text(string(value)))...).datagram())
		if out.Records != (Records{Event: 1, FlowAndEvent: 1}) || len(out.Flows) != 1 || len(out.Events) != 2 {
			t.Fatalf("%s: %+v", name, out.Records)
		}
		if f, denied := out.Flows[0], out.Events[1]; f.FirewallRule != want || denied.FirewallRule != want || len(denied.Attributes) > 0 {
			t.Errorf("%s: %q and %q, want %q; %v", name, f.FirewallRule, denied.FirewallRule, want, denied.Attributes)
		}
	}
	f("Barracuda", ieBarracudaRule, []byte("LAN-to-Internet\x00"), "LAN-to-Internet")
	f("Barracuda, none", ieBarracudaRule, nil, "")
	f("NSX", ieVMwareRule, values(4, 1013), "1013")
	f("NSX, none", ieVMwareRule, values(4, 0), "")
}
