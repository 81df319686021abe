package stage

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestSourceRefusesWhenTheQueueIsFull(t *testing.T) {
	cfg := newBroker(t)
	ensure(t, cfg)
	net := &network{}
	cfg.dial = net.dial
	cfg.QueueBytes = 1 << 20
	src, err := NewSource(cfg, "ingest/test", []string{FlowsDead}, SourceOptions{}, nil, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- src.Run(ctx) }()
	net.kill()
	letter := make([]byte, 64<<10)
	taken := 0
	for ; taken < 100 && err == nil; taken++ {
		err = src.AppendMessage(0, 0, nil, letter, Header{"reason", "no_template"})
	}
	if !errors.Is(err, ErrQueueFull) || taken < 10 || taken > 20 {
		t.Errorf("after %d letters of 64 KiB: %v", taken, err)
	}
	if err := src.EndTick(7); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := src.AppendMessage(0, 0, nil, letter); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

func TestSourceSaysGoodbyeEverywhere(t *testing.T) {
	cfg := newBroker(t)
	ensure(t, cfg)
	src, err := NewSource(cfg, "ingest/test", []string{FlowsRaw, FlowsDead}, SourceOptions{}, nil, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- src.Run(ctx) }()
	if err := src.AppendMessage(1, 0, []byte("key"), []byte("letter"), Header{"reason", "no_template"}); err != nil {
		t.Fatal(err)
	}
	if err := src.EndTick(7); err != nil {
		t.Fatal(err)
	}
	if err := src.Close(ctx, ByeStop); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	logs := readLogs(t, cfg, FlowsRaw, FlowsDead)
	if got := logs[FlowsDead][0]; len(got) != 1 || string(got[0].key) != "key" || string(got[0].value) != "letter" {
		t.Errorf("dead letters: %+v", got)
	}
	for p, log := range logs[FlowsRaw] {
		last := message{fields: log[len(log)-1].fields}
		if err := last.parse(false); err != nil || last.bye != ByeStop || last.tick != 7 || !last.end || last.seq != 0 {
			t.Errorf("flows.raw/%d ends with %+v, %v", p, last.header, err)
		}
	}
}

// TestStopWithoutKafka: a source that never reached Kafka does not wait for it when it
// is told to stop. What was said waits in the spool; without one it is lost, and the
// error says so.
func TestStopWithoutKafka(t *testing.T) {
	cfg := newBroker(t)
	cfg.Brokers = []string{"127.0.0.1:1"} // nobody is there
	for _, c := range []struct {
		spool SpoolOptions
		want  error
	}{
		{SpoolOptions{}, errNeverReached},
		{SpoolOptions{Dir: t.TempDir(), MaxBytes: 1 << 30, After: time.Hour}, nil},
	} {
		src, err := NewSource(cfg, "ingest/test", []string{Events}, SourceOptions{Spool: c.spool}, nil, testLog(t))
		if err != nil {
			t.Fatal(err)
		}
		src.farewell = time.Millisecond
		done := make(chan error, 1)
		go func() { done <- src.Run(t.Context()) }()
		if err := src.EndTick(7); err != nil {
			t.Fatal(err)
		}
		if err := src.Close(t.Context(), ByeStop); !errors.Is(err, c.want) {
			t.Errorf("with a spool in %q: got %v", c.spool.Dir, err)
		}
		<-done
		if c.spool.Dir != "" && src.spooler.spool.Empty() {
			t.Error("the spool is empty")
		}
	}
}
