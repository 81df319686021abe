package biflow

import "github.com/flowledger/flowledger/services/internal/flow"

// standing is how well a port is known as one that servers listen on. A client's
// port may be registered too, by chance, but is rarely one that everybody uses.
type standing uint8

const (
	unlisted standing = iota
	// registered: IANA has given the port a name for this transport.
	registered
	// common: services listen there by default.
	common
	// declaredAnywhere: the policy says so, of whatever host.
	declaredAnywhere
	// declaredHere: the policy says so of this host.
	declaredHere
)

const (
	// lastOldEphemeral is the last of the ports from 1025 on that Windows before Vista,
	// and BSD before it, gave their clients. Nearly all of them are registered, so that
	// to be registered tells nothing there.
	lastOldEphemeral = 5000
	// firstEphemeral is the first that clients of today are given: by Linux, where IANA
	// and Windows say 49152 (RFC 6335 §6).
	firstEphemeral = 32768
	// firstPrivileged to 1023 are given to clients that must show that they are privileged: of
	// rlogin and rsh (RFC 1282), and of Sun's RPC, as NFS (bindresvport: from 600 on).
	firstPrivileged = 512
	// ftpData is the port that FTP servers connect from, to the port that the client told
	// them. What they listen on for data, in passive mode, is another (RFC 959 §3.2).
	ftpData = 20
)

// isPrivileged tells ports that a client may have been given for its rights.
func isPrivileged(port uint16) bool { return port >= firstPrivileged && port < 1024 }

// sure is how sure it is that an endpoint of this standing is the server, where the
// other's is less. A port that is declared for all hosts may still be a client's by
// chance.
func (s standing) sure() uint8 {
	switch s {
	case declaredHere:
		return sureDeclared
	case declaredAnywhere:
		return sureDeclaredPort
	}
	return sureKnownPort
}

// standings are those of both endpoints' ports.
func (t *Table) standings(c *conv) (low, high standing) {
	a, b := &c.half[0], &c.half[1]
	low, high = standingOf(c.proto, a.port), standingOf(c.proto, b.port)
	if t.declared != nil {
		lowAddr, highAddr := t.addresses(c)
		low = max(low, t.declared.standing(c.proto, &lowAddr, a.port))
		high = max(high, t.declared.standing(c.proto, &highAddr, b.port))
	}
	return low, high
}

// standingOf looks a port up.
func standingOf(proto uint8, port uint16) standing {
	switch {
	case has(commonPorts[:], port):
		return common
	case isRegistered(proto, port):
		return registered
	}
	return unlisted
}

// isRegistered tells ports that the IANA registry names (registered.go). What is
// carried in UDP's or TCP's manner (UDP-Lite, DCCP) is registered with them.
func isRegistered(proto uint8, port uint16) bool {
	switch proto {
	case flow.ProtoUDP, 136:
		return has(registeredUDP[:], port)
	case flow.ProtoSCTP:
		return has(registeredSCTP[:], port)
	}
	return has(registeredTCP[:], port)
}

// has tells whether a bitset, 64 ports a word, holds a port.
func has(set []uint64, port uint16) bool {
	return int(port/64) < len(set) && set[port/64]&(1<<(port%64)) != 0
}

// commonPorts are ports that services listen on by default: what is widely used
// of the registry, and what is where the registry is silent. Ports below 1024
// that are in neither still count as reserved.
var commonPorts = portsOf(
	21, 22, 23, 25, 43, 49, 53, 67, 69, 70, 79, 80, 81, 88, 102, 110, 111, 113, 119, 123, 135, 137, 138, 139,
	143, 161, 162, 179, 194, 201, 264, 389, 427, 443, 444, 445, 464, 465, 500, 502, 512, 513, 514, 515, 520, 521,
	523, 540, 543, 544, 546, 547, 548, 554, 563, 587, 593, 601, 623, 631, 636, 646, 666, 853, 860, 873, 902, 953,
	989, 990, 992, 993, 995, 1080, 1099, 1194, 1433, 1434, 1521, 1701, 1719, 1720, 1723, 1812, 1813, 1883, 1900,
	1935, 2049, 2055, 2082, 2083, 2086, 2087, 2181, 2222, 2323, 2375, 2376, 2379, 2380, 2404, 2483, 2484, 2525,
	3000, 3050, 3128, 3260, 3268, 3269, 3306, 3389, 3478, 3479, 3544, 3632, 3690, 3702, 4369, 4443, 4444, 4500, 4739, 4786,
	4789, 4840, 4899, 5000, 5001, 5004, 5005, 5038, 5044, 5050, 5060, 5061, 5222, 5223, 5228, 5269, 5353, 5355, 5432, 5433,
	5555, 5601, 5631, 5666, 5671, 5672, 5683, 5684, 5800, 5900, 5901, 5938, 5984, 5985, 5986, 6000, 6001, 6343, 6379,
	6443, 6514, 6600, 6633, 6653, 6660, 6665, 6666, 6667, 6668, 6669, 6697, 6881, 7000, 7001, 7070, 7547, 7680, 7777,
	8000, 8001, 8008, 8009, 8080, 8081, 8086, 8088, 8089, 8090, 8123, 8140, 8161, 8200, 8291, 8333, 8443, 8500,
	8545, 8728, 8834, 8883, 8888, 9000, 9001, 9042, 9050, 9090, 9092, 9100, 9200, 9300, 9418, 9443, 9999, 10000, 10050,
	10051, 11211, 15672, 17500, 20000, 25565, 25672, 27015, 27017, 27018, 28017, 33060, 37777, 44818, 47808,
	51820, 61616,
)

// portSet is a bitset of all ports.
type portSet [1024]uint64

func (s *portSet) add(port uint16) { s[port/64] |= 1 << (port % 64) }

func portsOf(ports ...uint16) (set portSet) {
	for _, p := range ports {
		set.add(p)
	}
	return set
}
