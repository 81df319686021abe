package normalize

const (
	// maxRemembered is how many datagrams of an observation domain are remembered,
	// at most; a domain begins with fewer.
	maxRemembered   = 1024
	firstRemembered = 16
	// ways is how many places a datagram may be remembered at.
	ways = 4
)

// duplicates recognises datagrams that come twice (a loop, a mirrored port) among
// the last of an observation domain: by a hash of all a datagram says, its
// sequence number and export time among it. Two that say the same but for the
// number are two.
type duplicates struct {
	slots []uint64 // ways in a row, the newest first; 0 is free
	added int
	// number is the sequence number of the first datagram. As long as no other has
	// come, the exporter does not count, and equal datagrams may be two.
	number         uint32
	begun, counted bool
}

// seen tells whether a datagram came before.
func (d *duplicates) seen(hash uint64, number uint32) bool {
	if !d.begun {
		d.begun, d.number = true, number
	}
	d.counted = d.counted || number != d.number
	if !d.counted || d.slots == nil {
		return false
	}
	for _, h := range d.row(hash) {
		if h == hash {
			return true
		}
	}
	return false
}

// add remembers a datagram.
func (d *duplicates) add(hash uint64) {
	if d.added == len(d.slots) && len(d.slots) < maxRemembered {
		d.grow()
	}
	d.added++
	d.put(hash)
}

func (d *duplicates) put(hash uint64) {
	row := d.row(hash)
	copy(row[1:], row)
	row[0] = hash
}

// row has the places of a hash.
func (d *duplicates) row(hash uint64) []uint64 {
	i := int(hash>>32) % (len(d.slots) / ways) * ways
	return d.slots[i : i+ways]
}

func (d *duplicates) grow() {
	old := d.slots
	d.slots = make([]uint64, max(firstRemembered, 4*len(old)))
	for i := range old { // the oldest first
		if h := old[i^(ways-1)]; h != 0 {
			d.put(h)
		}
	}
}
