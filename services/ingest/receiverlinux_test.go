package main

import (
	"bytes"
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/flowledger/flowledger/services/internal/testkit"
)

// TestRunsAreTakenApart: datagrams that the kernel hands over in one piece are
// received each by itself, the last of a run being shorter or not.
func TestRunsAreTakenApart(t *testing.T) {
	l := newListening(t)
	size := make([]byte, unix.CmsgSpace(2))
	binary.NativeEndian.PutUint64(size, uint64(unix.CmsgLen(2)))
	binary.NativeEndian.PutUint32(size[8:], unix.IPPROTO_UDP)
	binary.NativeEndian.PutUint32(size[12:], unix.UDP_SEGMENT)
	for _, run := range []struct{ each, bytes int }{{1400, 46 * 1400}, {1400, 3*1400 + 7}, {1, 64}, {8000, 8001}, {500, 500}} {
		sent := make([]byte, run.bytes)
		for i := range sent {
			sent[i] = byte(i / run.each)
		}
		binary.NativeEndian.PutUint16(size[unix.CmsgLen(0):], uint16(run.each))
		if _, _, err := l.out.WriteMsgUDP(sent, size, nil); err != nil {
			testkit.Missing(t, "UDP_SEGMENT: %v", err)
		}
		messages := 0
		for left := len(sent); left > 0; {
			n, err := l.in.receive()
			if err != nil {
				t.Fatal(err)
			}
			left -= l.take(l.in, n)
			messages += n
		}
		l.queues.each[0].take(&l.batch)
		for i := range l.batch.items {
			want := sent[:min(run.each, len(sent))]
			if got := l.batch.payload(&l.batch.items[i]); !bytes.Equal(got, want) {
				t.Fatalf("%+v, datagram %d: %d bytes %x, want %d of %d", run, i, len(got), got[:1], len(want), i)
			}
			sent = sent[len(want):]
		}
		if len(sent) > 0 {
			t.Errorf("%+v: %d bytes did not come", run, len(sent))
		}
		if messages != 1 {
			t.Errorf("%+v came in %d messages", run, messages)
		}
	}
}
