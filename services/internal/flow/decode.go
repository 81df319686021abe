package flow

// Decoder decodes batches into messages it owns, reused from one Reset to the
// next. Bytes and strings of the messages alias the batches.
type Decoder[T any, M interface {
	*T
	Reset()
	UnmarshalVTUnsafe([]byte) error
}] struct {
	// Records are the messages decoded since Reset. Their order may be changed.
	Records []M
	// Bad counts what was left out.
	Bad  Bad
	all  []M
	used int
}

// Reset takes all messages back.
func (d *Decoder[T, M]) Reset() {
	clear(d.Records)
	d.Records, d.used = d.Records[:0], 0
}

// Add decodes every message of a batch. A message that cannot be decoded is
// counted and left out; it does not take its neighbours along.
func (d *Decoder[T, M]) Add(batch []byte) {
	for len(batch) > 0 {
		msg, rest, err := Next(batch)
		if err != nil {
			d.Bad.Truncated++
			return
		}
		batch = rest
		if d.used == len(d.all) {
			d.all = append(d.all, new(T))
		}
		m := d.all[d.used]
		m.Reset()
		if err := m.UnmarshalVTUnsafe(msg); err != nil {
			d.Bad.Undecodable++
			continue
		}
		d.used++
		d.Records = append(d.Records, m)
	}
}
