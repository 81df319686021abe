package rule

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// summary is what the tables below expect of a finding in its last state.
type summary struct {
	Rule, Host string
	Targets    int
}

// TestRealTraffic holds the defaults against networks and attacks that none of
// us made. What is expected is what an analyst would want to read, and no more.
func TestRealTraffic(t *testing.T) {
	f := func(name string, want ...summary) {
		t.Run(name, func(t *testing.T) {
			var got []summary
			for _, f := range lastOf(playOut(t, Default(), truth(t, name))) {
				got = append(got, summary{f.FindingInfo.Types[0], f.host, f.Count})
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("findings (-want, +got):\n%s", d)
			}
		})
	}
	f("traffic/portscan_vertical", summary{"port_scan", "192.168.1.9", 44})
	f("attacks/nmap_syn", summary{"port_scan", "192.168.1.10", 1000})
	f("attacks/syn_scan", summary{"port_scan", "172.16.0.8", 1000})
	f("attacks/ssh_normal")
	f("attacks/ssh_guess") // few guesses, none failed as a flow
	f("attacks/njrat")     // one server, one port
	f("traffic/campus_mixed")
	// FTP logins in clear: true, and policy's to say. One finding for all 30.
	f("attacks/ftp_bruteforce", summary{"prohibited_service", "192.168.56.1", 1})
	// Of 8,462 conversations one download by FTP is worth a word.
	f("attacks/office_day", summary{"prohibited_service", "192.168.1.105", 1})
	// The other sources tried at most 38 ports in twelve hours.
	f("traffic/internet_morning",
		summary{"port_scan", "47.89.128.90", 62},
		summary{"port_scan", "79.110.62.70", 117},
		summary{"port_scan", "165.154.254.36", 523},
		summary{"port_scan", "79.124.62.130", 123},
		summary{"port_scan", "79.124.62.78", 100})
}
