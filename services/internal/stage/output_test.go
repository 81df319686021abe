package stage

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// TestWaysToAppend holds records and flows that are encoded already, and those that are
// encoded into the batch, against messages: the same batches, cut in the same places.
func TestWaysToAppend(t *testing.T) {
	type batch struct {
		Topic, Partition, Count int
		Value                   string
	}
	say := func(appended func(o *Output, partition int, m flow.Message)) (all []batch) {
		o := NewOutput(2)
		o.maxBytes = 100
		for n := range uint64(200) {
			appended(o, int(n%3/2), &toyRecord{id: n, key: n << (n % 40), group: n % 7})
		}
		o.Each(func(topic, partition int, _, value []byte, count int) {
			if n, err := flow.Count(value); err != nil || n != count {
				t.Errorf("%d records (%v) are counted as %d", n, err, count)
			}
			all = append(all, batch{topic, partition, count, string(value)})
		})
		o.Reset()
		return all
	}
	want := say(func(o *Output, p int, m flow.Message) { o.Append(0, p, m) })
	if len(want) < 10 {
		t.Fatalf("only %d batches: nothing is cut", len(want))
	}
	encoded := say(func(o *Output, p int, m flow.Message) { o.AppendEncoded(0, p, flow.AppendDelimited(nil, m)) })
	if diff := cmp.Diff(want, encoded); diff != "" {
		t.Errorf("AppendEncoded (-want, +got)\n%s", diff)
	}
	written := say(func(o *Output, p int, m flow.Message) {
		b, _, _ := flow.Next(flow.AppendDelimited(nil, m))
		o.AppendFlows(0, []flow.Encoded{{Hash: uint64(4 + p), Bytes: b}})
	})
	if diff := cmp.Diff(want, written); diff != "" {
		t.Errorf("AppendFlows (-want, +got)\n%s", diff)
	}
}

// TestAppendEncodedCopies what it is given.
func TestAppendEncodedCopies(t *testing.T) {
	o := NewOutput(1)
	record := flow.AppendDelimited(nil, &toyRecord{id: 5})
	want := bytes.Clone(record)
	o.AppendEncoded(0, 0, record)
	clear(record)
	o.Each(func(_, _ int, _, value []byte, _ int) {
		if !bytes.Equal(value, want) {
			t.Errorf("got %x, want %x", value, want)
		}
	})
}
