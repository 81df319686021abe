package rule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// description is what a rule says of an episode.
type description struct {
	title, message string
	attacks        []Attack
	// where narrows the hunting query to the episode's flows: an SQL condition.
	where string
}

// where is the place of a scan: prefixes and ports, or servers.
func (e *episode) where() string {
	var places, ports []string
	for _, s := range e.scopes {
		switch s.kind {
		case byPrefix:
			places = append(places, prefixText(s.object))
		case byPort:
			ports = append(ports, Service{s.proto, s.port}.String())
		case byDarknet:
			places = append(places, "the darknet")
		case byServer:
			places = append(places, s.object.Netip().String())
		}
	}
	switch {
	case len(places) == 0:
		return "on " + joined(ports)
	case e.rule == portScanID:
		return joined(places)
	case len(ports) == 0:
		return "in " + joined(places)
	}
	return "in " + joined(places) + " and on " + joined(ports)
}

// joined lists at most three words.
func joined(words []string) string {
	if n := len(words) - 3; n > 0 {
		return strings.Join(words[:3], ", ") + fmt.Sprintf(" and %d more", n)
	}
	return strings.Join(words, ", ")
}

// took is the time between the first flow and the last.
func (e *episode) took() string {
	return "in " + (time.Duration(e.last-e.first)/time.Second*time.Second + time.Second).String()
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// prefixText writes the prefix that prefixOf cut.
func prefixText(a flow.Addr) string {
	if a.Is4() {
		return a.Netip().String() + "/24"
	}
	return a.Netip().String() + "/64"
}

// hasPorts tells whether any target is a port: else it was pings.
func (e *episode) hasPorts() bool {
	return slices.ContainsFunc(e.targets.list, func(k contact) bool { return k.target.port != 0 })
}

// services lists what answered and what was only tried, each service once.
func (e *episode) services() (used, tried []string) {
	for i := range e.targets.list {
		k := &e.targets.list[i]
		name := k.target.service().String()
		switch {
		case k.outcome == answered && !slices.Contains(used, name):
			used = append(used, name)
		case k.outcome == failed && !slices.Contains(tried, name):
			tried = append(tried, name)
		}
	}
	return used, tried
}

// servers names the only server, or says how many there are at most.
func (e *episode) servers(targets int) string {
	if len(e.targets.list) == 0 {
		return plural(targets, "server")
	}
	var seen []flow.Addr
	for i := range e.targets.list {
		if k := &e.targets.list[i]; k.outcome != neither && !slices.Contains(seen, k.target.addr) {
			seen = append(seen, k.target.addr)
		}
	}
	switch {
	case e.all != nil:
		return plural(targets, "target")
	case len(seen) == 1:
		return seen[0].Netip().String()
	}
	return plural(len(seen), "server")
}

// ports lists the ports of the targets that are shown, in order.
func (e *episode) ports() (list []string) {
	var ports []uint16
	for i := range e.targets.list {
		ports = append(ports, e.targets.list[i].target.port)
	}
	slices.Sort(ports)
	for _, p := range slices.Compact(ports) {
		list = append(list, strconv.Itoa(int(p)))
	}
	return list
}

// scopeSQL is a condition that holds for the flows of a scan.
func (e *episode) scopeSQL() string {
	var list []string
	for _, s := range e.scopes {
		switch s.kind {
		case byPrefix:
			last := s.object
			if last.Is4() {
				last[15] = 0xff
			} else {
				for i := 8; i < 16; i++ {
					last[i] = 0xff
				}
			}
			list = append(list, "server_addr BETWEEN "+addrSQL(s.object)+" AND "+addrSQL(last))
		case byPort:
			list = append(list, fmt.Sprintf("(proto = %d AND server_port = %d)", s.proto, s.port))
		case byServer:
			list = append(list, "server_addr = "+addrSQL(s.object))
		}
	}
	if len(list) == 0 {
		return "1"
	}
	return "(" + strings.Join(list, " OR ") + ")"
}

// addrSQL is an address as ClickHouse's IPv6 column compares it: IPv4 is mapped.
func addrSQL(a flow.Addr) string { return "toIPv6('" + a.Netip().String() + "')" }

// huntSQL shows the evidence in the ledger; a minute on either side, because
// later reports may move a flow's start.
func (e *episode) huntSQL(c *client, where string) string {
	const around = uint64(time.Minute)
	return fmt.Sprintf("SELECT time_flow_start, server_addr, server_port, proto, conn_state, client_packets, server_packets, flow_id"+
		" FROM ledger.biflows FINAL WHERE realm = %d AND client_addr = %s"+
		" AND time_flow_start BETWEEN fromUnixTimestamp64Nano(toInt64(%d)) AND fromUnixTimestamp64Nano(toInt64(%d))"+
		" AND %s ORDER BY time_flow_start, flow_id",
		c.subject.realm, addrSQL(c.subject.addr), e.first-min(e.first, around), e.last+around, where)
}
