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

// Two of the five words of an IPv4 conversation (conversationHash4) are always the same:
// what comes of them, and is mixed in later.
var (
	second, fourth           = hashRound(prime2, second4), hashRound(first4, fourth4)
	secondAgain, fourthAgain = hashRound(0, second), hashRound(0, fourth)
)

const second4, fourth4 = 0xff << 56, 0

// hash41 is xxHash64, with seed 0, of 41 bytes: five little-endian words, of which the
// second is second4 and the fourth fourth4, and the last byte. It works in registers:
// to write the bytes to memory piece by piece and read them again in other pieces takes
// three times as long as the hash itself.
func hash41(w0, w2, w4, last uint64) uint64 {
	a, c := hashRound(first1, w0), hashRound(0, w2)
	h := bits.RotateLeft64(a, 1) + bits.RotateLeft64(second, 7) + bits.RotateLeft64(c, 12) + bits.RotateLeft64(fourth, 18)
	h = (h^hashRound(0, a))*prime1 + prime4
	h = (h^secondAgain)*prime1 + prime4
	h = (h^hashRound(0, c))*prime1 + prime4
	h = (h^fourthAgain)*prime1 + prime4
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
