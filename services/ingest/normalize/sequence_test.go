package normalize

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// losses are what a domain's sequence numbers tell.
type losses struct{ Lost, LostRecords, Reordered, Restarts, Duplicates uint64 }

func lossesOf(n *Normalizer) (l losses) {
	for _, d := range n.Stats() {
		l.Lost += d.Lost
		l.LostRecords += d.LostRecords
		l.Reordered += d.Reordered
		l.Restarts += d.Restarts
		l.Duplicates += d.Duplicates
	}
	return l
}

// sent is a message of so many records, its number, and when it comes.
type sent struct {
	number, records uint32
	at              time.Duration
	port            uint16
}

// export sends messages of equal records after a template.
func export(w func() *writer, messages ...sent) *Normalizer {
	n, out := New(Default()), &Result{}
	for i, m := range messages {
		x := w()
		x.sequence = m.number
		if i == 0 {
			x.template(300, tuple...)
		}
		var body []byte
		for r := range m.records {
			body = append(body, tupleValues(uint64(m.number)+1, uint64(r)+1)...)
		}
		d := after(x.set(300, body...).datagram(), m.at)
		d.Port = m.port
		n.Datagram(d, out)
	}
	n.Advance(nowNs, out)
	return n
}

// run of messages: count of them from a number on, step apart, one a second.
func series(at time.Duration, first, step, records uint32, count int) (all []sent) {
	for i := range count {
		all = append(all, sent{first + uint32(i)*step, records, at + time.Duration(i)*time.Second, 2055})
	}
	return all
}

func join(runs ...[]sent) (all []sent) {
	for _, r := range runs {
		all = append(all, r...)
	}
	return all
}

func TestSequenceNumbers(t *testing.T) {
	f := func(name string, w func() *writer, want losses, messages ...sent) {
		t.Helper()
		if d := cmp.Diff(lossesOf(export(w, messages...)), want); d != "" {
			t.Errorf("%s (-got, +want)\n%s", name, d)
		}
	}
	const s, v9Wraps, wraps = time.Second, 0xfffffff0, 0xffffff80
	f("v9 in order", v9, losses{}, series(0, 100, 1, 7, 40)...)
	f("v9 over the wrap", v9, losses{}, series(0, v9Wraps, 1, 7, 40)...)
	f("v9 lost three datagrams of seven", v9, losses{Lost: 3, LostRecords: 21}, join(series(0, 0, 1, 7, 10), series(10*s, 13, 1, 7, 10))...)
	f("IPFIX in order", ipfix, losses{}, series(0, 100, 7, 7, 40)...)
	f("IPFIX over the wrap", ipfix, losses{}, series(0, wraps, 7, 7, 40)...)
	f("IPFIX lost three messages of seven", ipfix, losses{Lost: 21, LostRecords: 21}, join(series(0, 0, 7, 7, 10), series(10*s, 91, 7, 7, 10))...)
	f("IPFIX lost at the wrap", ipfix, losses{Lost: 21, LostRecords: 21}, join(series(0, 1<<32-70, 7, 7, 10), series(10*s, 21, 7, 7, 10))...)
	f("v9 that counts records", v9, losses{}, series(0, 100, 7, 7, 40)...)
	f("v9 that counts records, and lost seven", v9, losses{Lost: 7, LostRecords: 7}, join(series(0, 0, 7, 7, 20), series(20*s, 147, 7, 7, 20))...)
	f("IPFIX that counts messages", ipfix, losses{}, series(0, 100, 1, 7, 40)...)
	f("IPFIX that counts messages, and lost two", ipfix, losses{Lost: 2, LostRecords: 14}, join(series(0, 0, 1, 7, 20), series(20*s, 22, 1, 7, 20))...)
	f("one record each", ipfix, losses{Lost: 2, LostRecords: 2}, join(series(0, 0, 1, 1, 20), series(20*s, 22, 1, 1, 20))...)
	f("does not count", v9, losses{}, series(0, 0, 0, 7, 40)...)
	f("does not count, IPFIX", ipfix, losses{}, series(0, 0, 0, 7, 40)...)
	f("restarted", v9, losses{Restarts: 1}, join(series(0, 5000, 1, 7, 20), series(20*s, 0, 1, 7, 20))...)
	f("restarted from far", ipfix, losses{Restarts: 1}, join(series(0, 3_000_000_000, 7, 7, 20), series(20*s, 0, 7, 7, 20))...)
	f("a stray number", v9, losses{}, join(series(0, 5000, 1, 7, 20), []sent{{9, 7, 20 * s, 2055}}, series(21*s, 5020, 1, 7, 20))...)
	f("two processes of one domain", v9, losses{Lost: 1, LostRecords: 7}, func() (all []sent) {
		for i := range uint32(40) {
			at := time.Duration(i) * s
			if i != 20 {
				all = append(all, sent{100_000 + i, 7, at, 1111})
			}
			all = append(all, sent{500_000 + i, 7, at, 2222})
		}
		return all
	}()...)
	f("two ports, one counter", v9, losses{}, func() (all []sent) {
		for i := range uint32(40) {
			all = append(all, sent{100_000 + i, 7, time.Duration(i) * s, uint16(1111 + i%2)})
		}
		return all
	}()...)
}

func TestReordering(t *testing.T) {
	at := func(m []sent, d time.Duration) []sent {
		for i := range m {
			m[i].at = d
		}
		return m
	}
	m := at(series(0, 0, 7, 7, 30), 0)
	m[12], m[13] = m[13], m[12]
	m[20], m[22] = m[22], m[20]
	n := export(ipfix, join(m, at(series(0, 210, 7, 7, 5), 10*time.Second))...)
	if d := cmp.Diff(lossesOf(n), losses{Reordered: 3}); d != "" {
		t.Errorf("(-got, +want)\n%s", d)
	}
}

// TestLossIsExact loses, doubles and reorders datagrams at random; what is told
// lost is what was, once it is sure, and nothing is decoded twice.
func TestLossIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		byRecords := rapid.Bool().Draw(t, "records")
		w := v9
		if byRecords {
			w = ipfix
		}
		number := rapid.Uint32().Draw(t, "first")
		var messages []sent
		var want losses
		for i := range 400 {
			records := uint32(1 + r.IntN(20))
			step := uint32(1)
			if byRecords {
				step = records
			}
			m := sent{number, records, time.Duration(i) * time.Second / 10, 2055}
			number += step
			switch {
			case i > 50 && i < 300 && r.IntN(20) == 0:
				want.Lost += uint64(step)
			case i > 50 && r.IntN(20) == 0:
				messages = append(messages, m, m)
				want.Duplicates++
			default:
				messages = append(messages, m)
			}
		}
		for i := 50; i+3 < len(messages); i += 4 {
			if r.IntN(4) == 0 {
				r.Shuffle(3, func(j, k int) {
					messages[i+j], messages[i+k] = messages[i+k], messages[i+j]
					messages[i+j].at, messages[i+k].at = messages[i+k].at, messages[i+j].at
				})
			}
		}
		n := export(w, messages...)
		got := lossesOf(n)
		got.LostRecords, got.Reordered = 0, 0
		if d := cmp.Diff(got, want); d != "" {
			t.Fatalf("(-got, +want)\n%s", d)
		}
	})
}

func TestDuplicates(t *testing.T) {
	n, out := New(Default()), &Result{}
	datagram := func(number uint32, octets uint64) Datagram {
		w := v9()
		w.sequence = number
		return w.set(300, tupleValues(octets, 1)...).datagram()
	}
	flows := func(d Datagram) int {
		before := len(out.Flows)
		n.Datagram(d, out)
		return len(out.Flows) - before
	}
	n.Datagram(v9().template(300, tuple...).datagram(), out)
	for i := range uint32(5000) {
		if flows(datagram(i+1, 1)) != 1 {
			t.Fatal("a datagram was taken for an earlier one")
		}
	}
	for i := range uint32(900) {
		if flows(datagram(5000-i, 1)) != 0 {
			t.Fatalf("the last datagram but %d was read again", i)
		}
	}
	if flows(datagram(5000, 2)) != 1 {
		t.Error("another datagram of the same number was not read")
	}
	if out.Duplicates != 900 || lossesOf(n).Duplicates != 900 || out.Datagrams != 5902 {
		t.Errorf("%d duplicates of %d datagrams", out.Duplicates, out.Datagrams)
	}
}

// The first datagram that is heard of an exporter may come twice already.
func TestFirstIsDuplicated(t *testing.T) {
	w := v9().template(300, tuple...).set(300, tupleValues(1, 1)...)
	w.sequence = 77
	if out := run(Default(), w.datagram(), w.datagram()); len(out.Flows) != 1 || out.Duplicates != 1 {
		t.Errorf("%d flows, %d duplicates", len(out.Flows), out.Duplicates)
	}
}

// Exporters that do not count may say the same twice and mean it.
func TestEqualIsNotDuplicate(t *testing.T) {
	for _, w := range []*writer{v9().template(300, tuple...).set(300, tupleValues(1, 1)...), ipfix().template(300, tuple...).set(300, tupleValues(1, 1)...)} {
		out := run(Default(), w.datagram(), w.datagram(), w.datagram())
		if len(out.Flows) != 3 || out.Duplicates != 0 {
			t.Errorf("%d flows, %d duplicates", len(out.Flows), out.Duplicates)
		}
	}
}

func TestStatsOfLegacy(t *testing.T) {
	v5 := func(number uint32, octets uint32) Datagram {
		b := make([]byte, v5Header+2*v5Record)
		binary.BigEndian.PutUint16(b, 5)
		binary.BigEndian.PutUint16(b[2:], 2)
		binary.BigEndian.PutUint32(b[8:], nowNs/nsPerS)
		binary.BigEndian.PutUint32(b[16:], number)
		binary.BigEndian.PutUint32(b[v5Header+20:], octets)
		return Datagram{Exporter: exporterAddr, ReceivedNs: nowNs, Payload: b}
	}
	n, out := New(Default()), &Result{}
	for i := range uint32(20) {
		n.Datagram(v5(2*i, i), out)
	}
	n.Datagram(v5(46, 1), out)
	n.Datagram(v5(46, 1), out)
	n.Datagram(after(v5(48, 1), 6*time.Second), out)
	if d := cmp.Diff(lossesOf(n), losses{Lost: 6, LostRecords: 6, Duplicates: 1}); d != "" {
		t.Errorf("(-got, +want)\n%s", d)
	}
	if out.LostRecords != 6 || out.DataRecords != 44 {
		t.Errorf("%d lost, %d records", out.LostRecords, out.DataRecords)
	}
}
