package flow

// Bad counts, by reason, what of batches cannot be read and is left out.
type Bad struct {
	// Truncated counts batches that end within a message: what comes before it is read.
	Truncated uint64
	// Undecodable counts messages that are none of their kind. Their neighbours are read.
	Undecodable uint64
}

// Why something of a batch is left out: words of counters and of dead letters.
const (
	Truncated   = "truncated"
	Undecodable = "undecodable"
)

// Left is what of a batch was left out, as it came, and why. The bytes are the batch's.
type Left struct {
	Bytes  []byte
	Reason string
}

// LeftOut takes batches apart, and keeps what of them cannot be read.
type LeftOut struct {
	// Bad counts all of it, Left is what of the last batch.
	Bad  Bad
	Left []Left
}

// Split hands every message of a batch to read, which tells whether it is one: what is
// none does not take its neighbours along.
func (o *LeftOut) Split(batch []byte, read func(msg []byte) bool) {
	o.Left = o.Left[:0]
	for len(batch) > 0 {
		msg, rest, err := Next(batch)
		if err != nil {
			o.Bad.Truncated++
			o.Left = append(o.Left, Left{batch, Truncated})
			return
		}
		batch = rest
		if !read(msg) {
			o.Bad.Undecodable++
			o.Left = append(o.Left, Left{msg, Undecodable})
		}
	}
}
