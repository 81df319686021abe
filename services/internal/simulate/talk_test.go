package simulate

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// TestStory: the host does what the story says, and nobody else could be taken
// for a scanner.
func TestStory(t *testing.T) {
	for _, duration := range []time.Duration{40 * time.Second, 10 * time.Minute} {
		t.Run(duration.String(), func(t *testing.T) {
			cfg := DefaultTalk()
			cfg.Duration = duration
			s, err := NewTalk(cfg)
			if err != nil {
				t.Fatal(err)
			}
			p := playAll(t, s)
			hero := s.hero()
			failed := map[flow.Addr]map[flow.Addr]bool{}
			for _, c := range p.truths {
				if c.Proto == flow.ProtoTCP && c.ServerPackets < 2 {
					if failed[c.Client.Addr] == nil {
						failed[c.Client.Addr] = map[flow.Addr]bool{}
					}
					failed[c.Client.Addr][c.Server.Addr] = true
				}
			}
			for host, servers := range failed {
				if host == hero {
					if len(servers) < 200 {
						t.Errorf("the scanner failed at %d hosts only", len(servers))
					}
				} else if len(servers) > 8 {
					t.Errorf("%v fails at %d hosts", host.Netip(), len(servers))
				}
			}
			checkSession(t, p, hero, duration)
			checkExpected(t, s)
			checkSeenByAll(t, p)
		})
	}
}

// checkSession wants the SSH session long, and heavier from the client.
func checkSession(t *testing.T, p *played, hero flow.Addr, duration time.Duration) {
	for _, c := range p.truths {
		if c.Client.Addr != hero || c.Server.Port != 22 {
			continue
		}
		if long := time.Duration(c.End - c.Start); long < duration*3/4 {
			t.Errorf("the session lasts %v of %v", long, duration)
		}
		if ratio := float64(c.ClientBytes) / float64(c.ServerBytes); ratio < 2.5 {
			t.Errorf("client/server bytes are %.2f", ratio)
		}
		return
	}
	t.Error("no SSH session")
}

func checkExpected(t *testing.T, s *Talk) {
	var b bytes.Buffer
	if err := s.Expected().Write(&b); err != nil {
		t.Fatal(err)
	}
	var e Expected
	if err := json.Unmarshal(b.Bytes(), &e); err != nil {
		t.Fatal(err)
	}
	if len(e.Alerts) != 1 || e.Alerts[0].Rule != "address_scan" || e.Alerts[0].Host != "10.20.1.57" ||
		e.Alerts[0].Servers < 250 || e.Alerts[0].Answered < 1 || e.Alerts[0].Answered > 10 {
		t.Errorf("alerts to expect: %+v", e.Alerts)
	}
	if len(e.Story) < 5 {
		t.Errorf("story: %+v", e.Story)
	}
}

// checkSeenByAll wants conversations of one, two and three exporters, IPv6, and
// resets among them.
func checkSeenByAll(t *testing.T, p *played) {
	by, v6, long := map[int]int{}, 0, 0
	for i := range p.truths {
		c := &p.truths[i]
		by[c.Exporters]++
		if !c.Client.Addr.Is4() {
			v6++
		}
		if c.End-c.Start > int64(p.exporters[coreRouter].cfg.Active) {
			long++
		}
	}
	if by[1] < 20 || by[2] < 20 || by[3] < 20 || v6 < 5 || long < 2 {
		t.Errorf("by exporters %v, %d IPv6, %d longer than the active timeout", by, v6, long)
	}
}

// TestPathsAreSymmetric: what passes an exporter one way passes it on the way back.
func TestPathsAreSymmetric(t *testing.T) {
	addrs := []flow.Addr{officeAddr(1, 57), officeAddr(3, 20), officeAddr(5, 20), officeAddr6(3, 20), officeAddr(serverNet, 10),
		officeAddr(manageNet, 40), siteAddr(5), siteAddr6(5)}
	for n := 1; n <= 8; n++ {
		route := talkRoute(n)
		for _, a := range addrs {
			for _, b := range addrs {
				there, back := route(nil, &a, &b), route(nil, &b, &a)
				if len(there) != len(back) {
					t.Fatalf("%d exporters, %v to %v: %v there, %v back", n, a.Netip(), b.Netip(), there, back)
				}
				for i, h := range there {
					if r := back[len(back)-1-i]; r.Exporter != h.Exporter || r.Exporter >= n {
						t.Errorf("%d exporters, %v to %v: %v there, %v back", n, a.Netip(), b.Netip(), there, back)
					}
				}
			}
		}
	}
}
