package rows

import (
	"reflect"
	"testing"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// Whatever bytes a message has, blocks are whole: every column as long as the block.
func FuzzAppend(f *testing.F) {
	for topic := range Topics() {
		f.Add(uint8(topic), []byte("10.0.0.1"), batch(&flowv1.Flow{SrcAddr: ip(1, 2, 3, 4), Bytes: 1}))
		f.Add(uint8(topic), []byte{10, 0, 0, 1}, batch(&flowv1.Biflow{FlowId: 1, ClientAddr: ip(1, 2, 3, 4)}, &flowv1.Biflow{FlowId: 1, Version: 2}))
	}
	f.Add(uint8(2), []byte("::1"), finding(1, "a", at(1)))
	f.Add(uint8(4), []byte(nil), batch(&flowv1.Dns{DnsName: "a", Answers: []*flowv1.DnsAnswer{{Data: "::1"}}}))
	f.Fuzz(func(t *testing.T, topic uint8, key, value []byte) {
		b, err := For(Topics()[int(topic)%len(Topics())])
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			_, _ = b.Append(key, value)
		}
		for _, block := range b.Take() {
			if block.Rows == 0 || len(block.Columns) == 0 {
				t.Fatalf("block %s is empty", block.Table)
			}
			for _, c := range block.Columns {
				if n := reflect.ValueOf(c.Values).Len(); n != block.Rows {
					t.Fatalf("column %s.%s has %d of %d rows", block.Table, c.Name, n, block.Rows)
				}
			}
		}
	})
}
