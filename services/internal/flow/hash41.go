package flow

import "math/bits"

// Primes of xxHash64 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md), and what its
// accumulators begin with.
const (
	prime1 = 11400714785074694791
	prime2 = 14029467366897019727
	prime3 = 1609587929392839161
	prime4 = 9650029242287828579
	prime5 = 2870177450012600261

	first1 = (prime1 + prime2) & (1<<64 - 1)
	first4 = 1<<64 - prime1
)

// hash41 is xxHash64, with seed 0, of 41 bytes given as five little-endian words and
// the last byte: in registers, where to write them to memory piece by piece and read
// them again in other pieces takes three times as long as the hash itself.
func hash41(w0, w1, w2, w3, w4, last uint64) uint64 {
	a, b, c, d := hashRound(first1, w0), hashRound(prime2, w1), hashRound(0, w2), hashRound(first4, w3)
	h := bits.RotateLeft64(a, 1) + bits.RotateLeft64(b, 7) + bits.RotateLeft64(c, 12) + bits.RotateLeft64(d, 18)
	h = (h^hashRound(0, a))*prime1 + prime4
	h = (h^hashRound(0, b))*prime1 + prime4
	h = (h^hashRound(0, c))*prime1 + prime4
	h = (h^hashRound(0, d))*prime1 + prime4
	h += 41
	h = bits.RotateLeft64(h^hashRound(0, w4), 27)*prime1 + prime4
	h = bits.RotateLeft64(h^last*prime5, 11) * prime1
	h = (h ^ h>>33) * prime2
	h = (h ^ h>>29) * prime3
	return h ^ h>>32
}

func hashRound(sum, word uint64) uint64 {
	return bits.RotateLeft64(sum+word*prime2, 31) * prime1
}
