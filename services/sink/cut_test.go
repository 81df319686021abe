package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/stage"
)

// TestCuts plays testdata/cuts.txt: each script is a log, one message per line
// (time in seconds, rows it brings, and what else it is), and where it is cut.
func TestCuts(t *testing.T) {
	raw, err := os.ReadFile("testdata/cuts.txt")
	if err != nil {
		t.Fatal(err)
	}
	for script := range strings.SplitSeq(strings.TrimSpace(string(raw)), "\n\n") {
		lines := strings.Split(script, "\n")
		t.Run(strings.TrimPrefix(lines[0], "# "), func(t *testing.T) { playCuts(t, lines[1:]) })
	}
}

func playCuts(t *testing.T, lines []string) {
	c := cutter{Cut: Cut{Every: time.Second, Rows: 100, Offsets: 10 * time.Second}}
	waiting := 0
	var got []string
	for _, line := range lines {
		m, n, eager := parseMessage(t, line)
		c.eager = eager
		waiting += n
		text := strings.TrimSuffix(line, " CUT")
		if c.due(m, waiting) {
			text += " CUT"
			waiting = 0
			c.done()
		}
		got = append(got, text)
	}
	if diff := cmp.Diff(lines, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func parseMessage(t *testing.T, line string) (m *stage.Message, rows int, eager bool) {
	t.Helper()
	var seconds float64
	if _, err := fmt.Sscanf(line, "%g rows=%d", &seconds, &rows); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	m = &stage.Message{Time: time.Unix(1_700_000_000, int64(seconds*1e9)), Tick: eventtime.Tick(7)}
	for _, word := range strings.Fields(line)[2:] {
		switch {
		case word == "end":
			m.TickEnd = true
		case word == "eager":
			eager = true
		case word == "notime":
			m.Time, m.Tick = time.Time{}, eventtime.Tick(seconds*2)
		case strings.HasPrefix(word, "bye="):
			m.Bye = strings.TrimPrefix(word, "bye=")
		case word != "CUT":
			t.Fatalf("%q: unknown word %s", line, word)
		}
	}
	return m, rows, eager
}
