package slab

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// find is the lookup of a caller whose keys are hashes.
func find(x *Index, keys []uint64, hash, key uint64) (uint32, bool) {
	for p := x.Probe(hash); p.Next(); {
		if keys[p.Number()] == key {
			return p.Number(), true
		}
	}
	return 0, false
}

func TestIndexIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x Index
		model := make(map[uint64]uint32)
		var keys []uint64
		// Few hashes: many keys share one, and their runs go beyond the last home.
		spread := rapid.SampledFrom([]uint64{1, 7, 300, 1 << 40}).Draw(t, "spread")
		universe := rapid.Uint64Range(1, 2000).Draw(t, "universe")
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		for range 4000 {
			key := rng.Uint64N(universe)
			hash := key % spread
			number, ok := model[key]
			if got, found := find(&x, keys, hash, key); found != ok || found && got != number {
				t.Fatalf("key %d: found %v %d, want %v %d", key, found, got, ok, number)
			}
			switch {
			case !ok:
				number = uint32(len(keys))
				keys = append(keys, key)
				model[key] = number
				x.Insert(hash, number)
			case rng.IntN(3) > 0:
				if !x.Delete(hash, number) || x.Delete(hash, number) {
					t.Fatalf("key %d was not deleted once", key)
				}
				delete(model, key)
			}
			if x.Len() != len(model) {
				t.Fatalf("holds %d, want %d", x.Len(), len(model))
			}
		}
		farthest(t, &x)
		for key, number := range model {
			if got, ok := find(&x, keys, key%spread, key); !ok || got != number {
				t.Fatalf("key %d is lost", key)
			}
		}
	})
}

// Find tells of every hash what its own lookup comes upon first.
func TestFindIsManyLookups(t *testing.T) {
	var x Index
	numbers := make([]uint32, 200)
	if x.Find(make([]uint64, 200), numbers); slices.ContainsFunc(numbers, func(n uint32) bool { return n != None }) {
		t.Fatal("an empty index finds something")
	}
	rng := rand.New(rand.NewPCG(3, 4))
	hashes := make([]uint64, 3*pageBuckets)
	for i := range hashes {
		hashes[i] = rng.Uint64N(2 * pageBuckets) // some are there twice, others not at all
		if i%2 == 0 {
			x.Insert(hashes[i], uint32(i))
		}
	}
	found := 0
	for batch := range slices.Chunk(hashes, len(numbers)) {
		x.Find(batch, numbers)
		for i, h := range batch {
			want := None
			if p := x.Probe(h); p.Next() {
				want = p.Number()
				found++
			}
			if numbers[i] != want {
				t.Fatalf("found %d for %d, its own lookup %d", numbers[i], h, want)
			}
		}
	}
	if found == 0 || found == len(hashes) {
		t.Fatalf("%d of %d were found", found, len(hashes))
	}
}

func TestReserveMakesRoomOnce(t *testing.T) {
	var x Index
	x.Reserve(pageBuckets)
	x.Insert(42, 7)
	if x.Reserve(10); x.end() != 2*pageBuckets {
		t.Fatalf("%d buckets for %d entries, want %d", x.end(), pageBuckets, 2*pageBuckets)
	}
}

// A partition's hashes share their residue: that must not make runs longer.
func TestHashesOfOnePartitionSpread(t *testing.T) {
	var x Index
	const n = 700_000
	for i := range uint64(n) {
		x.Insert(i*1024+3, uint32(i))
	}
	if far := farthest(t, &x); far > 100 {
		t.Errorf("a bucket lies %d behind its home at a load of %.2f", far, float64(n)/float64(x.homes))
	}
	if got := float64(x.Bytes()) / n; got > 16 {
		t.Errorf("%.1f bytes per entry, at most 16", got)
	}
}

// farthest is how far a bucket lies behind its home at most. It fails the test where
// one lies before its home, behind a free one, or before one of a lower tag.
func farthest(t interface{ Fatalf(string, ...any) }, x *Index) (far uint) {
	before := uint64(0)
	for at := range x.end() {
		b := *x.bucket(at)
		if b == 0 {
			continue
		}
		home := x.home(uint32(b >> 32))
		if home > at || home < at && *x.bucket(at - 1) == 0 || b <= before {
			t.Fatalf("bucket %x is at %d behind %x, its home is %d", b, at, before, home)
		}
		before, far = b, max(far, at-home)
	}
	return far
}

func TestIndexDoesNotAllocateInSteadyState(t *testing.T) {
	var x Index
	for i := range uint64(100) {
		x.Insert(i, uint32(i))
	}
	if n := testing.AllocsPerRun(1000, func() {
		x.Delete(5, 5)
		x.Insert(5, 5)
	}); n > 0 {
		t.Errorf("%.1f allocations, want none", n)
	}
}

func BenchmarkIndex(b *testing.B) {
	type key = [5]uint64
	for _, n := range []int{10_000, 1_000_000} {
		var x Index
		var entries Slab[key]
		m := make(map[key]uint32)
		rng := rand.New(rand.NewPCG(1, 2))
		order := make([]uint64, n)
		for i := range order {
			h := rng.Uint64()
			order[i] = h
			id, e := entries.Take()
			*e = key{h}
			x.Insert(h, id)
			m[key{h}] = id
		}
		rng.Shuffle(n, func(i, j int) { order[i], order[j] = order[j], order[i] })
		b.Run(fmt.Sprintf("map/%d", n), func(b *testing.B) {
			for i := range b.N {
				if id, ok := m[key{order[i%n]}]; !ok || entries.At(id) == nil {
					b.Fatal("lost")
				}
			}
		})
		b.Run(fmt.Sprintf("index/%d", n), func(b *testing.B) {
			for i := range b.N {
				if !lookup(&x, &entries, order[i%n]) {
					b.Fatal("lost")
				}
			}
		})
		b.Run(fmt.Sprintf("index-together/%d", n), func(b *testing.B) {
			var sum uint64
			for i := 0; i < b.N; i += 64 {
				batch := order[i%n:]
				batch = batch[:min(64, len(batch))]
				var numbers [64]uint32
				x.Find(batch, numbers[:])
				for j := range batch {
					sum += entries.At(numbers[j])[0]
				}
			}
			_ = sum
		})
	}
}

func lookup(x *Index, entries *Slab[[5]uint64], h uint64) bool {
	for p := x.Probe(h); p.Next(); {
		if e := entries.At(p.Number()); (*e)[0] == h {
			return true
		}
	}
	return false
}
