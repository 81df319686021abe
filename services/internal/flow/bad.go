package flow

// Bad counts, by reason, what of batches cannot be read and is left out.
type Bad struct {
	// Truncated counts batches that end within a message: what comes before it is read.
	Truncated uint64
	// Undecodable counts messages that are none of their kind. Their neighbours are read.
	Undecodable uint64
}
