package stage

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/stage/wire"
)

// leavingCore reads nothing.
type leavingCore struct{ quietCore }

func (leavingCore) Tick(_ eventtime.Tick, in []Batch, out *Output) {
	for _, b := range in {
		out.LeaveOut(b, []flow.Left{{Bytes: b.Value, Reason: flow.Undecodable}})
	}
}

// told runs an engine over messages, and lists the dead letters it says.
func told(t *testing.T, e *engine, messages ...message) (letters []string) {
	t.Helper()
	for i := range messages {
		e.accept(0, &messages[i])
		e.step(func(output, partition int, m outgoing) {
			if output != len(e.outputs)-1 || m.count == 0 {
				return
			}
			line := fmt.Sprintf("%d %d %q=%q", partition, m.seq, m.key, m.value[:min(len(m.value), 20)])
			for _, f := range m.fields {
				line += fmt.Sprintf(" %s=%s", f.key, f.value)
			}
			letters = append(letters, line)
		})
	}
	return letters
}

// What cannot be read goes to flows.dead with all that is needed to find it.
func TestLetters(t *testing.T) {
	cfg := toyConfig(3, 2)
	cfg.Partitions.Exporters = 2
	spec := broadcastSpec()
	spec.Inputs = spec.Inputs[:1]
	e := newEngine(cfg.planner().plan(&spec, 1), leavingCore{})
	good := func(offset, tick int64, value string) message {
		return message{header: header{source: "ingest/a", seq: offset, tick: eventtime.Tick(tick), end: true}, offset: offset, value: []byte(value), count: min(len(value), 1)}
	}
	bad := func(offset int64, err error) message {
		return message{offset: offset, key: []byte("k"), value: []byte("junk"), err: err}
	}
	large := message{offset: 6, more: 3, value: bytes.Repeat([]byte("x"), maxBatchBytes+1), err: fmt.Errorf("%w: %s", errDamaged, strings.Repeat("y", 300))}
	got := told(t, e, bad(0, errNoSeq), good(1, 10, "\x01a"), bad(2, errBatch), good(3, 11, "\x02bc"), message{offset: 4, err: errNoTick}, good(5, 12, ""), large, good(10, 14, ""))
	want := []string{
		`1 0 "k"="junk" reason=bad_header time_received_ns=500000000 stage=dedup topic=flows.raw partition=1 offset=0 error=header seq is missing`,
		`1 1 ""="\x01a" reason=undecodable time_received_ns=5000000000 stage=dedup topic=flows.raw partition=1 offset=1`,
		`1 2 "k"="junk" reason=truncated time_received_ns=5500000000 stage=dedup topic=flows.raw partition=1 offset=2 error=` + errBatch.Error(),
		`1 3 ""="\x02bc" reason=undecodable time_received_ns=5500000000 stage=dedup topic=flows.raw partition=1 offset=3`,
		fmt.Sprintf(`1 4 ""="xxxxxxxxxxxxxxxxxxxx" reason=damaged time_received_ns=6500000000 stage=dedup topic=flows.raw partition=1 offset=6 error=%s bytes=%d`,
			large.err.Error()[:maxWhy], maxBatchBytes+1),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("letters (-want, +got):\n%s", diff)
	}
	if e.tally.malformed != 4 || e.tally.dead != 5 || e.bytes != 0 || e.inboxes[0].next != 11 {
		t.Errorf("%+v, %d bytes wait, next is %d", e.tally, e.bytes, e.inboxes[0].next)
	}
}

// What waits when a snapshot is taken is said by whoever goes on from it.
func TestLettersOutliveASnapshot(t *testing.T) {
	cfg, spec := toyConfig(2, 2), broadcastSpec()
	spec.Inputs = spec.Inputs[:1]
	p := cfg.planner().plan(&spec, 0)
	first, second := newEngine(p, leavingCore{}), newEngine(p, leavingCore{})
	message := func(offset int64, end bool) message {
		return message{header: header{source: "ingest/a", tick: 10, end: end}, offset: offset, value: []byte("\x01a"), count: 1}
	}
	mangled := message(7, false)
	mangled.err = errBatch
	if got := told(t, first, message(6, false), mangled); len(got) != 0 {
		t.Fatalf("said too early: %s", got)
	}
	snapshot := first.appendSnapshot(nil)
	if err := second.restore(snapshot); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(second.appendSnapshot(nil), snapshot) || second.bytes != first.bytes {
		t.Error("the snapshot is another one")
	}
	end := message(8, true)
	end.seq, end.value, end.count = 1, nil, 0
	want, got := told(t, first, end), told(t, second, end)
	if diff := cmp.Diff(want, got); diff != "" || len(want) != 2 || !strings.Contains(want[1], "offset=6") {
		t.Errorf("want %s\n(-want, +got)%s", want, diff)
	}
}

// The headers of small letters are most of them: they count for the size of a request.
func TestHeadersCountForSize(t *testing.T) {
	m := outgoing{value: []byte("x"), fields: []field{{"error", bytes.Repeat([]byte("y"), 500)}}}
	if got := m.size(); got < 500 {
		t.Errorf("%d bytes", got)
	}
}

// recordBatch is one as Kafka has it, of some records without headers.
func recordBatch(base int64, codec wire.Codec, count int32, records []byte) []byte {
	b := kmsg.RecordBatch{FirstOffset: base, Length: int32(49 + len(records)), Magic: 2, Attributes: int16(codec), LastOffsetDelta: count - 1,
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: count, Records: records}
	b.CRC = int32(crc32.Checksum(b.AppendTo(nil)[21:], castagnoli))
	return b.AppendTo(nil)
}

// record is one with a value alone, the offset behind that of its batch.
func record(delta byte, value string) []byte {
	body := append([]byte{0, 0, delta << 1, 1, byte(len(value)) << 1}, value...)
	body = append(body, 0)
	return append([]byte{byte(len(body)) << 1}, body...)
}

// A record batch that cannot be read is one message, and what comes behind it is read.
func TestDamagedRecordBatches(t *testing.T) {
	good := recordBatch(0, wire.None, 1, record(0, "a"))
	whole := recordBatch(3, wire.None, 1, record(0, "z"))
	half := recordBatch(1, wire.None, 2, slices.Concat(record(0, "b"), []byte{100, 1}))
	packed := recordBatch(1, wire.Zstd, 2, []byte("no zstd at all"))
	unknown := recordBatch(1, 7, 2, []byte("of the future"))
	changed := recordBatch(1, wire.None, 2, slices.Concat(record(0, "b"), record(1, "c")))
	changed[len(changed)-2] ^= 1
	for name, f := range map[string]struct {
		batch    []byte
		from     int64
		attempts int
	}{
		"within":      {batch: half, from: 2, attempts: 1},
		"compression": {batch: packed, from: 1, attempts: 1},
		"codec":       {batch: unknown, from: 1, attempts: 1},
		"checksum":    {batch: changed, from: 1, attempts: maxDoubts},
	} {
		reader := fetcher{plain: true, topic: "t"}
		var values []string
		attempts := 0
		for reader.next < 4 {
			c := chunk{end: 4}
			set := slices.Concat(good, f.batch, whole)
			if reader.next == 3 { // a broker begins with the batch that has what is asked for
				set = whole
			}
			err := reader.read(set, &c)
			for _, m := range c.messages {
				if errors.Is(m.err, errDamaged) {
					if m.offset != f.from || m.next() != 3 || !bytes.Equal(m.value, f.batch) {
						t.Errorf("%s: from %d to %d with %x", name, m.offset, m.next(), m.value)
					}
					continue
				}
				values = append(values, string(m.value))
			}
			if err != nil && len(c.messages) == 0 {
				if attempts++; attempts > maxDoubts {
					t.Fatalf("%s: %v", name, err)
				}
			}
		}
		want := "a z"
		if f.from == 2 {
			want = "a b z"
		}
		if got := strings.Join(values, " "); got != want || attempts != f.attempts-1 {
			t.Errorf("%s: read %s after %d attempts in vain, want %s and %d", name, got, attempts, want, f.attempts-1)
		}
	}
}

// What is no policy goes to flows.dead once, of all the partitions that read it: at the tick from
// which one that was written then would hold, also across a snapshot.
func TestLettersOfPolicies(t *testing.T) {
	cfg := toyConfig(2, 2)
	spec := broadcastSpec()
	spec.Policy = true
	foreign, cut := policyMessage(2, 50, "b", 5), policyMessage(3, 0, "c", 1)
	foreign.source = "ingest/a"
	cut.value, cut.count, cut.err = cut.value[:1], 0, errBatch
	for partition, want := range [][]string{{
		`0 0 ""="\x01" reason=truncated time_received_ns=11000000000 stage=dedup topic=policy partition=0 offset=3 error=` + errBatch.Error(),
		`0 1 ""="\x01b" reason=bad_header time_received_ns=15000000000 stage=dedup topic=policy partition=0 offset=1 error=` + errNoPolicy.Error(),
	}, nil} {
		newOne := func() *engine {
			return newEngine(cfg.planner().plan(&spec, partition), &policyDiary{&diaryCore{}, &noteCore{}})
		}
		e := newOne()
		for i, m := range []message{policyMessage(1, 50, "a", 0), foreign, policyMessage(2, 60, "d", 0), cut, {offset: 4, err: errNoTick}} {
			m.offset = int64(i)
			e.acceptPolicy(&m)
		}
		if e.tally.malformed != 3 || e.tally.records != 2 {
			t.Errorf("%+v", e.tally)
		}
		snapshot := e.appendSnapshot(nil)
		if e = newOne(); e.restore(snapshot) != nil || !bytes.Equal(e.appendSnapshot(nil), snapshot) {
			t.Error("the snapshot is another one")
		}
		var got []string
		for i, tick := range []eventtime.Tick{21, 22, 29, 30} {
			end := message{header: header{source: "ingest/a", tick: tick, end: true}, offset: int64(i)}
			other := end
			e.accept(1, &other)
			e.policies.read(tick)
			got = append(got, told(t, e, end)...)
			if n := map[eventtime.Tick]int{22: 1, 29: 1, 30: 2}[tick]; len(got) != min(n, len(want)) {
				t.Errorf("at tick %d: %q", tick, got)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" || e.bytes != 0 || len(e.letters) != 0 {
			t.Errorf("partition %d: %d bytes wait (-want, +got):\n%s", partition, e.bytes, diff)
		}
	}
}
