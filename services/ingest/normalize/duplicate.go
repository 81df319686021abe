package normalize

const (
	// maxRemembered is how many datagrams of an observation domain are remembered,
	// at most; a domain begins with fewer. Both are powers of two.
	maxRemembered   = 1024
	firstRemembered = 16
)

// duplicates recognises datagrams that come twice (a loop, a mirrored port) among
// the last of an observation domain: by a hash of all a datagram says, its
// sequence number and export time among it. Two that say the same but for the
// number are two.
type duplicates struct {
	// ring has the last datagrams by position modulo its length.
	ring []remembered
	// heads has the latest position of each bucket of hashes, plus one.
	heads []uint32
	// added is the position of the next.
	added uint32
	// counted tells that there was a sequence number other than zero. Else the exporter
	// does not count, and equal datagrams may be two.
	counted bool
}

type remembered struct {
	hash uint64
	// before is the position, plus one, of the one before in the same bucket. It may
	// be forgotten by now.
	before uint32
}

// seen tells whether a datagram came before.
func (d *duplicates) seen(hash uint64, number uint32) bool {
	d.counted = d.counted || number != 0
	return d.counted && d.has(hash)
}

func (d *duplicates) has(hash uint64) bool {
	if len(d.ring) == 0 {
		return false
	}
	for at := d.heads[d.bucket(hash)]; at != 0 && d.added-at < uint32(len(d.ring)); {
		r := &d.ring[d.place(at-1)]
		if r.hash == hash {
			return true
		}
		at = r.before
	}
	return false
}

// add remembers a datagram.
func (d *duplicates) add(hash uint64) {
	if d.has(hash) {
		return
	}
	if int(d.added) == len(d.ring) && len(d.ring) < maxRemembered {
		d.grow()
	}
	bucket := d.bucket(hash)
	d.ring[d.place(d.added)] = remembered{hash, d.heads[bucket]}
	d.added++
	d.heads[bucket] = d.added
}

func (d *duplicates) bucket(hash uint64) int    { return int(hash>>32) & (len(d.heads) - 1) }
func (d *duplicates) place(position uint32) int { return int(position) & (len(d.ring) - 1) }

func (d *duplicates) grow() {
	old := d.ring
	size := max(firstRemembered, 4*len(old))
	d.ring, d.heads, d.added = make([]remembered, size), make([]uint32, size), 0
	for i := range old {
		d.add(old[i].hash)
	}
}
