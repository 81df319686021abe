package rule

import (
	"fmt"
	"math"
	"testing"
	"time"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
)

func TestDistinctEstimates(t *testing.T) {
	f := func(n int, within float64) {
		t.Helper()
		var d distinct
		for i := range n {
			tg := target{addr: flow.AddrFrom([]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), port: 80, proto: 6}
			d.add(tg)
			d.add(tg)
		}
		if off := math.Abs(float64(d.count()-n)) / float64(n); off > within {
			t.Errorf("%d targets are estimated as %d", n, d.count())
		}
	}
	f(1024, .02)
	f(10_000, .02)
	f(100_000, .02)
	f(300_000, .05)
}

func TestHugeScanIsEstimated(t *testing.T) {
	l := timeline{}
	l.add(time.Second, spread(5000, 10*time.Millisecond, func(i int) *flowv1.Biflow {
		b := call(0, 0, "10.1.2.3", fmt.Sprintf("10.1.%d.%d", i/200, 1+i%200), 8445, unanswered)
		if i%10 == 0 {
			b.ConnState = established
		}
		return b
	})...)
	got := lastOf(playOut(t, Default(), l))
	if len(got) != 1 {
		t.Fatalf("got %d findings, want 1", len(got))
	}
	f := got[0]
	if f.Count < 4900 || f.Count > 5100 || f.Unmapped.Answered < 450 || f.Unmapped.Answered > 550 || !f.Unmapped.Estimated {
		t.Errorf("%d targets of which %d answered (estimated: %t), want about 5000 and 500", f.Count, f.Unmapped.Answered, f.Unmapped.Estimated)
	}
	if len(f.Evidences) != maxEvidences {
		t.Errorf("%d evidences, want %d", len(f.Evidences), maxEvidences)
	}
}
