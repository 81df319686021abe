package rows

import flowv1 "github.com/flowledger/flowledger/proto/flow/v1"

// service is the key of first_seen: who used what of whom.
type service struct {
	client, server [16]byte
	port           uint16
	proto          uint8
	realm          uint32
}

// contact is when a service was used.
type contact struct {
	service
	first, last Time
}

func contactOf(b *flowv1.Biflow) contact {
	return contact{
		service: service{
			client: addr(b.ClientAddr), server: addr(b.ServerAddr),
			port: uint16(b.ServerPort), proto: uint8(b.Proto), realm: b.Realm,
		},
		first: timeOf(b.TimeFlowStartNs), last: timeOf(b.TimeFlowEndNs),
	}
}

// addContacts puts one row per service, with its earliest start and latest end.
func addContacts(t *table[contact], contacts []contact) {
	rows := make(map[service]int, len(contacts))
	merged := make([]contact, 0, len(contacts))
	for _, c := range contacts {
		row, seen := rows[c.service]
		if !seen {
			rows[c.service] = len(merged)
			merged = append(merged, c)
			continue
		}
		m := &merged[row]
		m.first, m.last = min(m.first, c.first), max(m.last, c.last)
	}
	for row, c := range merged {
		t.put(row, c)
	}
}

func contactFields() []field[contact] {
	return []field[contact]{
		key("server_addr", func(c contact) [16]byte { return c.server }),
		col("server_port", func(c contact) uint16 { return c.port }),
		col("proto", func(c contact) uint8 { return c.proto }),
		col("client_addr", func(c contact) [16]byte { return c.client }),
		col("realm", func(c contact) uint32 { return c.realm }),
		col("time_first", func(c contact) Time { return c.first }),
		col("time_last", func(c contact) Time { return c.last }),
	}
}
