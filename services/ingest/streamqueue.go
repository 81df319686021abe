package main

import "net/netip"

// putMessage is put for a message of a transport session; an empty one is the end
// of the session. Streams take no more than half of the memory: they can wait, so
// they must not fill it up for datagrams, which cannot.
func (q *queue) putMessage(from netip.AddrPort, session uint64, payload []byte) bool {
	defer q.announce() // once the lock is given back
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.memory.used.Load() > q.memory.limit/2 {
		return false
	}
	return q.add(from, session, payload)
}
