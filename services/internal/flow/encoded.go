package flow

import "encoding/binary"

// Encoded is a flow that is written already, and what else must be known to send it.
type Encoded struct {
	// Hash is its ConversationHash.
	Hash uint64
	// Bytes is the message, without its length.
	Bytes []byte
}

// SizeVT implements Message.
func (e *Encoded) SizeVT() int { return len(e.Bytes) }

// MarshalToSizedBufferVT implements Message.
func (e *Encoded) MarshalToSizedBufferVT(b []byte) (int, error) {
	return copy(b[len(b)-len(e.Bytes):], e.Bytes), nil
}

// AppendDelimited copies the flow behind the batch, its length before it.
func (e *Encoded) AppendDelimited(batch []byte) []byte {
	return append(binary.AppendUvarint(batch, uint64(len(e.Bytes))), e.Bytes...)
}
