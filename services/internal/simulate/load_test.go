package simulate

import (
	"testing"
	"time"
)

// TestLoadIsExact: as many records as asked for, whatever the number.
func TestLoadIsExact(t *testing.T) {
	for _, n := range []uint64{1, 2, 3, 7, 100, 999, 20_000} {
		for _, exporters := range []int{1, 4} {
			cfg := DefaultLoad()
			cfg.Records, cfg.Exporters, cfg.Rate = n, exporters, 1000
			l, err := NewLoad(cfg)
			if err != nil {
				t.Fatal(err)
			}
			s, err := l.Run(Output{Datagram: func(Datagram) error { return nil }})
			if err != nil {
				t.Fatal(err)
			}
			if s.Records() != n {
				t.Errorf("%d records of %d exporters, want %d", s.Records(), exporters, n)
			}
		}
	}
}

// TestLoadRate: the network's time is what the rate makes it.
func TestLoadRate(t *testing.T) {
	cfg := DefaultLoad()
	cfg.Records, cfg.Rate = 60_000, 1000
	l, err := NewLoad(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var last Truth
	segments := 0
	if _, err = l.Run(Output{
		Datagram: func(Datagram) error { return nil },
		Truth: func(c *Truth) error {
			last = *c
			if c.End-c.Start > loadActive {
				segments++
			}
			return nil
		},
	}); err != nil {
		t.Fatal(err)
	}
	if took := time.Duration(last.Start - cfg.Start.UnixNano()); took < 55*time.Second || took > 65*time.Second {
		t.Errorf("60,000 records at 1,000 a second began over %v", took)
	}
	if segments < 500 {
		t.Errorf("%d conversations in several segments", segments)
	}
}

func BenchmarkLoad(b *testing.B) {
	cfg := DefaultLoad()
	cfg.Records = max(1, uint64(b.N))
	l, err := NewLoad(cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	if _, err := l.Run(Output{Datagram: func(Datagram) error { return nil }}); err != nil {
		b.Fatal(err)
	}
}
