// Package simulate plays a network: conversations cross a path of exporters,
// each exporter meters them into flow records as a router does, and sends them
// as NetFlow v5, NetFlow v9 or IPFIX datagrams. What every conversation really
// was is written beside them, so that whatever reads the datagrams can be held
// against the truth.
//
//	office ──Conversation──▶ Network ──Run──▶ cache ──Record──▶ Exporter ──Datagram──▶ pcap, UDP
//	  │                                                            ▲
//	  ╰──────truth             load ──────────────Record───────────╯
//
// Everything follows from the seed and the start time: the same configuration
// gives the same bytes. Nothing here reads a clock or uses global randomness.
// Times are nanoseconds since the epoch.
package simulate
