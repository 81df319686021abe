package slab

// Recent remembers hashes roughly: all that were added, and some that were not. It is
// for what a batch inserts after Find has looked for all of it. The zero value is empty.
type Recent [8]uint64

// Add remembers a hash.
func (r *Recent) Add(hash uint64) { r[hash>>6%8] |= 1 << (hash % 64) }

// Has tells whether a hash may have been added.
func (r *Recent) Has(hash uint64) bool { return r[hash>>6%8]>>(hash%64)&1 != 0 }
