package flow

// Mix is a hash of two words that others choose, with the secret of this process
// (Key.Hash): for an index, and for nothing that anybody is told.
func Mix(a, b uint64) uint64 { return fold(a^secret[0], b^secret[1]) }
