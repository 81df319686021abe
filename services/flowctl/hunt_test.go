package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

func TestSparkline(t *testing.T) {
	f := func(buckets []uint64, want string) {
		t.Helper()
		if got, _ := sparkline(buckets); got != want {
			t.Errorf("%v: got %q, want %q", buckets, got, want)
		}
	}
	f(nil, "")
	f([]uint64{0, 0}, "  ")
	f([]uint64{0, 1, 500, 1000}, " .+@")
}

func TestSpread(t *testing.T) {
	f := func(start, end, bytes uint64, want ...uint64) {
		t.Helper()
		got := make([]uint64, 4)
		spread(got, 1000, 10, &flowv1.Flow{TimeFlowStartNs: start, TimeFlowEndNs: end, Bytes: bytes})
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("%d to %d (-got, +want)\n%s", start, end, diff)
		}
	}
	f(1000, 1040, 40, 10, 10, 10, 10)
	f(1005, 1015, 40, 20, 20, 0, 0)
	f(1012, 1012, 7, 0, 7, 0, 0)
	f(900, 900, 7, 7, 0, 0, 0)
}

// What is spread is conserved.
func TestSpreadConserves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.Uint64Range(0, 5000).Draw(t, "start")
		f := &flowv1.Flow{TimeFlowStartNs: start, TimeFlowEndNs: start + rapid.Uint64Range(0, 5000).Draw(t, "length"), Bytes: rapid.Uint64().Draw(t, "bytes")}
		buckets := make([]uint64, rapid.IntRange(1, 60).Draw(t, "n"))
		spread(buckets, 1000, 97, f)
		var sum uint64
		for _, b := range buckets {
			sum += b
		}
		if sum != f.Bytes {
			t.Fatalf("got %d, want %d", sum, f.Bytes)
		}
	})
}

func TestBucketWidth(t *testing.T) {
	for whole, want := range map[time.Duration]time.Duration{0: time.Millisecond, 5 * time.Minute: 10 * time.Second, 100 * 24 * time.Hour: 48 * time.Hour} {
		if got := bucketWidth(whole, 60); got != want {
			t.Errorf("%s: got %s, want %s", whole, got, want)
		}
	}
}
