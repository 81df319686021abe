package rule

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/netset"
)

// Every rule: what it must say, and the nearest thing of which it must not.

// spread makes one call every step to what the place of n gives.
func spread(n int, step time.Duration, f func(i int) *flowv1.Biflow) (out []*flowv1.Biflow) {
	for i := range n {
		b := f(i)
		b.FlowId, b.TimeFlowStartNs = uint64(i+1), at(time.Duration(i)*step)
		out = append(out, b)
	}
	return out
}

// told plays flows and gives rule and message of each finding in its last state.
func told(t *testing.T, cfg Config, flows []*flowv1.Biflow) (out []string) {
	t.Helper()
	l := timeline{}
	l.add(10*time.Second, flows...)
	for _, f := range lastOf(playOut(t, cfg, l)) {
		out = append(out, f.FindingInfo.Types[0]+": "+f.Message)
	}
	return out
}

func expect(t *testing.T, cfg Config, flows []*flowv1.Biflow, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, told(t, cfg, flows)); d != "" {
		t.Errorf("findings (-want, +got):\n%s", d)
	}
}

func TestAddressScanByPrefix(t *testing.T) {
	scan := func(n int, step time.Duration, state flowv1.ConnState) []*flowv1.Biflow {
		return spread(n, step, func(i int) *flowv1.Biflow {
			return call(0, 0, "10.1.2.3", fmt.Sprintf("10.1.9.%d", i+1), 8445, state)
		})
	}
	expect(t, Default(), scan(25, time.Second, unanswered), "address_scan: 10.1.2.3 called 25 hosts in 10.1.9.0/24 in 25s; 25 failed, 0 answered")
	expect(t, Default(), scan(25, 12*time.Second, rejected), "address_scan: 10.1.2.3 called 25 hosts in 10.1.9.0/24 in 4m49s; 25 failed, 0 answered")
	expect(t, Default(), scan(24, time.Second, unanswered))
	expect(t, Default(), scan(60, 13*time.Second, unanswered))
	expect(t, Default(), scan(200, time.Second, established))
	expect(t, Default(), scan(200, time.Second, unobserved))
	expect(t, Default(), scan(200, time.Second, oneWay))
	expect(t, Default(), spread(200, time.Second, func(i int) *flowv1.Biflow {
		return call(0, 0, "10.1.2.3", "10.1.9.1", 8445, unanswered) // one dead server
	}))
}

func TestAddressScanOfIPv6(t *testing.T) {
	expect(t, Default(), spread(25, time.Second, func(i int) *flowv1.Biflow {
		return call(0, 0, "fd00::1", fmt.Sprintf("2001:db8:1:2::%x", i), 443, unanswered)
	}), "address_scan: fd00::1 called 25 hosts in 2001:db8:1:2::/64 in 25s; 25 failed, 0 answered")
	expect(t, Default(), spread(25, time.Second, func(i int) *flowv1.Biflow {
		return call(0, 0, "fd00::1", fmt.Sprintf("2001:db8:1:%x::1", i), 443, unanswered)
	}))
}

func TestAddressScanOfLiveHosts(t *testing.T) {
	// 100 hosts of which ten are dead: the tier that counts answers too.
	sweep := func(dead int) []*flowv1.Biflow {
		return spread(101, time.Second, func(i int) *flowv1.Biflow {
			b := call(0, 0, "10.1.2.3", fmt.Sprintf("10.1.9.%d", i+1), 443, established)
			if i < dead {
				b.ConnState, b.ClientTcpFlags = unanswered, 2
			}
			return b
		})
	}
	expect(t, Default(), sweep(10), "address_scan: 10.1.2.3 called 101 hosts in 10.1.9.0/24 in 1m41s; 10 failed, 91 answered")
	expect(t, Default(), sweep(9))
}

func TestAddressScanByPort(t *testing.T) {
	scan := func(client string, n int) []*flowv1.Biflow {
		return spread(n, time.Second, func(i int) *flowv1.Biflow {
			return call(0, 0, client, fmt.Sprintf("203.0.%d.%d", i, i%200+1), 8022, unanswered)
		})
	}
	expect(t, Default(), scan("198.51.100.9", 100), "address_scan: 198.51.100.9 called 100 hosts on 8022/tcp in 1m40s; 100 failed, 0 answered")
	expect(t, Default(), scan("198.51.100.9", 99))
	expect(t, Default(), scan("10.0.0.9", 250), "address_scan: 10.0.0.9 called 250 hosts on 8022/tcp in 4m10s; 250 failed, 0 answered")
	expect(t, Default(), scan("10.0.0.9", 249))
	expect(t, Default(), spread(250, time.Second, func(i int) *flowv1.Biflow {
		return call(0, 0, "10.0.0.9", fmt.Sprintf("203.0.%d.%d", i, i%200+1), 8000+i%2, unanswered)
	}))
}

func TestOneFindingForManyPrefixesAndPorts(t *testing.T) {
	got := told(t, Default(), spread(3000, 50*time.Millisecond, func(i int) *flowv1.Biflow {
		return call(0, 0, "10.1.2.3", fmt.Sprintf("10.%d.9.%d", 2+i%10, 1+i/10%250), 8000+i%3, unanswered)
	}))
	if len(got) != 1 || !strings.Contains(got[0], "and 7 more and on 8000/tcp, 8001/tcp, 8002/tcp") {
		t.Errorf("got %q, want one finding", got)
	}
}

func TestAddressScanByPing(t *testing.T) {
	ping := func(icmpType uint32) []*flowv1.Biflow {
		return spread(30, time.Second, func(i int) *flowv1.Biflow {
			b := call(0, 0, "10.1.2.3", fmt.Sprintf("10.1.9.%d", i+1), 0, unanswered)
			b.Proto, b.ClientPort, b.IcmpType = 1, 0, icmpType
			b.CloseReason = flowv1.CloseReason_CLOSE_REASON_IDLE
			return b
		})
	}
	l := timeline{}
	l.add(10*time.Second, ping(8)...)
	got := playOut(t, Default(), l)
	if len(got) != 2 || got[0].FindingInfo.Attacks[0].Technique.UID != "T1018" {
		t.Errorf("got %v, want a sweep of pings", got)
	}
	expect(t, Default(), ping(3))
}

func TestAddressScanOfDarknet(t *testing.T) {
	cfg := Default()
	cfg.Networks.Darknet = netset.MustParse("10.250.0.0/16")
	scan := func(n int) []*flowv1.Biflow {
		return spread(n, time.Second, func(i int) *flowv1.Biflow {
			return call(0, 0, "10.1.2.3", fmt.Sprintf("10.250.%d.1", i), 80+i, unanswered)
		})
	}
	expect(t, cfg, scan(10), "address_scan: 10.1.2.3 called 10 hosts in the darknet in 10s; 10 failed, 0 answered")
	expect(t, cfg, scan(9))
	expect(t, Default(), scan(10))
}

func TestPortScan(t *testing.T) {
	scan := func(client string, n int, step time.Duration) []*flowv1.Biflow {
		return spread(n, step, func(i int) *flowv1.Biflow {
			return call(0, 0, client, "203.0.113.5", 8000+i, rejected)
		})
	}
	expect(t, Default(), scan("198.51.100.9", 15, time.Second), "port_scan: 198.51.100.9 tried 15 ports of 203.0.113.5 in 15s; 15 failed, 0 answered")
	expect(t, Default(), scan("198.51.100.9", 14, time.Second))
	expect(t, Default(), scan("198.51.100.9", 60, 22*time.Second))
	expect(t, Default(), scan("10.0.0.9", 30, time.Second), "port_scan: 10.0.0.9 tried 30 ports of 203.0.113.5 in 30s; 30 failed, 0 answered")
	expect(t, Default(), scan("10.0.0.9", 29, time.Second))
	expect(t, Default(), scan("10.0.0.9", 100, 10*time.Minute), "port_scan: 10.0.0.9 tried 100 ports of 203.0.113.5 in 16h30m1s; 100 failed, 0 answered")
	expect(t, Default(), scan("10.0.0.9", 99, 10*time.Minute))
}

func TestPortScanOfSensitivePorts(t *testing.T) {
	scan := func(ports ...int) []*flowv1.Biflow {
		return spread(len(ports), time.Second, func(i int) *flowv1.Biflow {
			return call(0, 0, "10.0.0.9", "10.0.0.5", ports[i], unanswered)
		})
	}
	expect(t, Default(), scan(22, 445, 3389, 135, 5900), "port_scan: 10.0.0.9 tried 5 ports of 10.0.0.5 in 5s; 5 failed, 0 answered")
	expect(t, Default(), scan(22, 445, 3389, 135, 135, 22, 445)) // flows are not ports
	expect(t, Default(), scan(22, 445, 3389, 135, 8080))
}

func TestPortScanJoinsServers(t *testing.T) {
	expect(t, Default(), spread(160, time.Second, func(i int) *flowv1.Biflow {
		return call(0, 0, "10.0.0.9", fmt.Sprintf("10.0.0.%d", 1+i%4), 9000+i/4, rejected)
	}), "port_scan: 10.0.0.9 tried 160 ports of 10.0.0.1, 10.0.0.2, 10.0.0.3 and 1 more in 2m40s; 160 failed, 0 answered")
}

func TestPortScanLeavesTracerouteAndFileTransferAlone(t *testing.T) {
	expect(t, Default(), spread(90, 10*time.Millisecond, func(i int) *flowv1.Biflow {
		b := call(0, 0, "10.0.0.9", "203.0.113.5", 33434+i, unanswered)
		b.Proto = 17
		return b
	}))
	expect(t, Default(), spread(500, 100*time.Millisecond, func(i int) *flowv1.Biflow { // passive FTP, one transfer in 60 fails
		b := call(0, 0, "10.0.0.9", "203.0.113.5", 50000+i, established)
		if i%60 == 0 {
			b.ConnState = rejected
		}
		return b
	}))
}

func TestProhibitedServiceOutside(t *testing.T) {
	one := func(client, server string, port int, state flowv1.ConnState) []*flowv1.Biflow {
		return []*flowv1.Biflow{call(1, 0, client, server, port, state)}
	}
	expect(t, Default(), one("10.0.0.9", "203.0.113.5", 445, established), "prohibited_service: 10.0.0.9 used 445/tcp of 203.0.113.5 in 1s")
	expect(t, Default(), one("10.0.0.9", "203.0.113.5", 3389, unanswered), "prohibited_service: 10.0.0.9 tried 3389/tcp of 203.0.113.5 in 1s; nobody answered")
	expect(t, Default(), one("10.0.0.9", "10.0.0.5", 445, established))
	expect(t, Default(), one("198.51.100.9", "203.0.113.5", 445, established))
	expect(t, Default(), one("10.0.0.9", "203.0.113.5", 443, established))
	expect(t, Default(), one("10.0.0.9", "203.0.113.5", 445, unobserved))
	// Listed services: anywhere, but only in use.
	expect(t, Default(), one("10.0.0.9", "10.0.0.5", 23, established), "prohibited_service: 10.0.0.9 used 23/tcp of 10.0.0.5 in 1s")
	expect(t, Default(), one("10.0.0.9", "10.0.0.5", 23, unanswered))
	handshake := one("10.0.0.9", "10.0.0.5", 23, established)
	handshake[0].ServerPackets = 2
	expect(t, Default(), handshake)
}

func TestProhibitedServiceSeverity(t *testing.T) {
	f := func(want string, flows ...*flowv1.Biflow) {
		t.Helper()
		l := timeline{}
		l.add(0, flows...)
		got := lastOf(playOut(t, Default(), l))
		if len(got) != 1 || got[0].Severity != want {
			t.Errorf("got %v, want one finding of severity %s", got, want)
		}
	}
	f("High", call(1, 0, "10.0.0.9", "203.0.113.5", 445, established))
	f("Low", call(1, 0, "10.0.0.9", "203.0.113.5", 445, unanswered), call(2, time.Second, "10.0.0.9", "203.0.113.6", 445, denied))
	f("Informational", call(1, 0, "10.0.0.9", "203.0.113.5", 445, denied))
	f("Medium", call(1, 0, "10.0.0.9", "10.0.0.5", 21, established))
	f("High", call(1, 0, "198.51.100.9", "10.0.0.5", 23, established))
}

func TestAttemptsOfAScanAreNotToldTwice(t *testing.T) {
	flows := spread(40, 100*time.Millisecond, func(i int) *flowv1.Biflow {
		return call(0, 0, "10.0.0.9", "203.0.113.5", []int{445, 3389, 135, 139, 5900}[i%5]+i/5*1000, rejected)
	})
	if got := told(t, Default(), flows); len(got) != 1 || !strings.HasPrefix(got[0], "port_scan") {
		t.Errorf("got %q, want the port scan alone", got)
	}
}

func TestGroupsAndBackscatterDoNotCount(t *testing.T) {
	expect(t, Default(), spread(200, time.Second, func(i int) *flowv1.Biflow {
		return call(0, 0, "10.0.0.9", fmt.Sprintf("239.1.1.%d", i+1), 5000, unanswered)
	}))
	expect(t, Default(), spread(200, time.Second, func(i int) *flowv1.Biflow {
		b := call(0, 0, "10.0.0.9", fmt.Sprintf("203.0.113.%d", i+1), 443, rejected)
		b.ClientPackets, b.ClientBytes = 0, 0 // only the reset was seen
		return b
	}))
	expect(t, Default(), spread(200, time.Second, func(i int) *flowv1.Biflow {
		b := call(0, 0, "10.0.0.9", "203.0.113.5", 0, unanswered)
		b.Proto = 47
		return b
	}))
}

func TestAllowLists(t *testing.T) {
	flows := spread(60, time.Second, func(i int) *flowv1.Biflow {
		return call(0, 0, "10.0.0.9", "10.7.0.5", 8000+i, rejected)
	})
	cfg := Default()
	cfg.PortScan.AllowClients = netset.MustParse("10.0.0.9")
	expect(t, cfg, flows)
	cfg = Default()
	cfg.PortScan.AllowServers = netset.MustParse("10.7.0.0/16")
	expect(t, cfg, flows)
	cfg = Default()
	cfg.PortScan.Enabled = false
	expect(t, cfg, flows)
}

// TestReplyReportedLaterIsNoFailure: the two directions of a conversation reach
// the collector one after the other, and a reply may come first.
func TestReplyReportedLaterIsNoFailure(t *testing.T) {
	expect(t, Default(), spread(60, time.Second, func(i int) *flowv1.Biflow {
		b := call(0, 0, "10.0.0.9", "203.0.113.5", 8000+i, unanswered)
		b.ClientTcpFlags = 0x1b // it acknowledged something
		return b
	}))
	expect(t, Default(), spread(60, time.Second, func(i int) *flowv1.Biflow {
		b := call(0, 0, "10.0.0.53", "10.0.0.9", 50000+i, unanswered) // a name server's replies
		b.Proto, b.ClientTcpFlags, b.ClientPort = 17, 0, 53
		b.InitiatorConfidence, b.DirectionConflict = 0.65, true
		b.CloseReason = flowv1.CloseReason_CLOSE_REASON_IDLE
		return b
	}))
}
