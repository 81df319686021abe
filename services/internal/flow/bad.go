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
