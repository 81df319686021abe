package main

import (
	"math/bits"
	"strings"
	"time"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// sparkColumns is how wide a sparkline is at most.
const sparkColumns = 60

// sparkLevels are the heights of a column; the first is for no bytes at all.
const sparkLevels = " .:-=+*#%@"

// bucketWidth is the smallest usual length of time of which so many cover the whole.
func bucketWidth(whole time.Duration, columns int) time.Duration {
	steps := []time.Duration{
		time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
		100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
		time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
		time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
		time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	}
	for _, w := range steps {
		if whole < w*time.Duration(columns) {
			return w
		}
	}
	const day = 24 * time.Hour
	return (whole/time.Duration(columns)/day + 1) * day
}

// spread adds a segment's bytes to buckets of the given width from start on,
// evenly over its duration: nobody knows when within it they were sent. What the
// buckets gain adds up to the segment's bytes. Times outside count as the first
// or last bucket's.
func spread(buckets []uint64, start uint64, width time.Duration, f *flowv1.Flow) {
	if len(buckets) == 0 {
		return
	}
	at := func(ns uint64) int {
		if ns < start {
			return 0
		}
		return int(min((ns-start)/uint64(width), uint64(len(buckets)-1)))
	}
	first, last := f.TimeFlowStartNs, f.TimeFlowEndNs
	if last <= first {
		buckets[at(first)] += f.Bytes
		return
	}
	told := uint64(0)
	for i := at(first); i <= at(last); i++ {
		upTo := f.Bytes
		if end := start + uint64(i+1)*uint64(width); i < at(last) && end > first {
			hi, lo := bits.Mul64(f.Bytes, end-first)
			upTo, _ = bits.Div64(hi, lo, last-first)
		}
		buckets[i] += upTo - told
		told = upTo
	}
}

// sparkline draws buckets as a line of ASCII, each relative to the tallest; what
// holds any byte is seen.
func sparkline(buckets []uint64) (line string, tallest uint64) {
	for _, n := range buckets {
		tallest = max(tallest, n)
	}
	var b strings.Builder
	for _, n := range buckets {
		level := uint64(0)
		if n > 0 {
			hi, lo := bits.Mul64(n, uint64(len(sparkLevels)-2))
			level, _ = bits.Div64(hi, lo, tallest)
			level++
		}
		b.WriteByte(sparkLevels[level])
	}
	return b.String(), tallest
}
