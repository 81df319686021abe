package stage

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// upgraded is an engine in the middle of a timeline: a version wrote its snapshot after
// before, which testdata keeps, and today's goes on with after.
type upgraded struct {
	*engine
	offset, seq int64
	said        []string
}

func newUpgraded() *upgraded {
	cfg, spec := toyConfig(2, 2), toyChain()[1]
	return &upgraded{engine: newEngine(cfg.planner().plan(&spec, 0), newToyPair(0))}
}

// tell gives the engine a message of records, each of a key and a number.
func (u *upgraded) tell(tick eventtime.Tick, end bool, records ...uint64) {
	m := message{header: header{source: "dedup/0", epoch: 1, seq: u.seq, tick: tick, end: end}, offset: u.offset, count: len(records)}
	for _, n := range records {
		m.value = flow.AppendDelimited(m.value, &toyRecord{id: uint64(u.seq), key: n % 10, group: n % 2, n: n})
		u.seq++
	}
	u.give(&m)
}

func (u *upgraded) give(m *message) {
	u.offset++
	u.accept(0, m)
	u.policies.read(u.passed(false))
	u.step(func(output, partition int, m outgoing) {
		u.said = append(u.said, fmt.Sprintf("%d/%d seq %d tick %d: %x %s", output, partition, m.seq, m.tick, m.value, m.bye))
	})
}

// before leaves open keys, numbered outputs, a policy that holds and one that does not
// yet, and records that wait.
func (u *upgraded) before() {
	for i, from := range []eventtime.Tick{10, 26} {
		m := policyMessage(int64(i+1), from, string(rune(i+1)), 0)
		m.offset = int64(i)
		u.acceptPolicy(&m)
	}
	u.tell(10, true, 1, 2, 3)
	u.tell(20, true, 4, 11)
	u.tell(22, false, 5, 12, 21)
}

func (u *upgraded) after() {
	u.tell(22, true, 6)
	u.give(&message{offset: u.offset, value: []byte("junk"), err: errBatch})
	u.tell(30, true, 1, 12)
	u.seq -= 2 // as after a crash
	u.tell(30, true, 1, 12)
	u.give(&message{header: header{source: "dedup/0", epoch: 1, seq: u.seq, tick: 40, end: true, bye: ByeEndOfInput}, offset: u.offset})
}

// TestSnapshotsOfEarlierVersions: a stage goes on from what an earlier version has left as if
// it had been there from the start.
func TestSnapshotsOfEarlierVersions(t *testing.T) {
	whole := newUpgraded()
	whole.before()
	heard := len(whole.said)
	whole.after()
	want := whole.said[heard:]
	if !strings.Contains(strings.Join(want, "\n"), fmt.Sprintf("%x", "junk")) {
		t.Fatalf("what cannot be read was not said:\n%s", strings.Join(want, "\n"))
	}
	files, err := filepath.Glob("testdata/snapshots/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no snapshots: %v", err)
	}
	for _, file := range files {
		snapshot, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		first := newUpgraded()
		first.before()
		parts := newUpgraded()
		if err := parts.restore(snapshot); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		parts.offset, parts.seq = first.offset, first.seq
		parts.after()
		if diff := cmp.Diff(want, parts.said); diff != "" {
			t.Errorf("%s (-from the start, +restored):\n%s", file, diff)
		}
	}
}

// TestSnapshotsOfUnknownVersions are refused, and so is half of one.
func TestSnapshotsOfUnknownVersions(t *testing.T) {
	u := newUpgraded()
	u.before()
	snapshot := u.appendSnapshot(nil)
	snapshot[0] = snapshotVersion + 1
	if err := newUpgraded().restore(snapshot); err == nil || !strings.Contains(err.Error(), "version") {
		t.Errorf("got %v", err)
	}
	snapshot[0] = snapshotVersion
	for n := range len(snapshot) - 1 {
		if newUpgraded().restore(snapshot[:n]) == nil {
			t.Errorf("%d of %d bytes were enough", n, len(snapshot))
		}
	}
}
