package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// lossLine is what became of a stream that was sent at a rate, whatever the receiver
// made of it.
type lossLine struct {
	System     string  `json:"system"`
	Input      string  `json:"input"`
	PerSecond  float64 `json:"datagrams_per_second"`
	Sent       uint64  `json:"datagrams_sent"`
	Lost       uint64  `json:"datagrams_lost"`
	Records    uint64  `json:"records"`
	Decoded    uint64  `json:"records_decoded,omitempty"`
	BufferSize int     `json:"receive_buffer_bytes"`
}

// The search for a rate: from where, up to where, and until the two are that close.
const (
	lossFrom  = 5_000
	lossUpTo  = 400_000
	lossClose = 1.1
)

// measureLoss finds the highest rate at which nfcapd loses nothing, each rate tried
// as often as there are rounds, and sends at that to ingest.
func (b *bench) measureLoss(ctx context.Context, in *input) error {
	nfcapd, err := exec.LookPath("nfcapd")
	if err != nil {
		return fmt.Errorf("cannot compare with nfcapd: %w", err)
	}
	c, err := b.startCluster(ctx)
	if err != nil {
		return err
	}
	defer c.dev.kill()
	buffer := min(receiveBuffer, grantable())
	low, high, best := float64(lossFrom), float64(lossUpTo), lossLine{}
	for high/low > lossClose {
		rate := math.Sqrt(low * high)
		lossless := true
		for range b.rounds {
			l, err := b.lossOfNfcapd(ctx, nfcapd, in, rate, buffer)
			if err != nil {
				return err
			}
			say("  nfcapd %8.0f datagrams/s: %d of %d lost", l.PerSecond, l.Lost, l.Sent)
			if lossless = l.Lost == 0; !lossless {
				break
			}
			best = l
		}
		switch {
		case !lossless:
			high = rate
		case best.PerSecond < rate*0.95: // the sender is at its end
			high = low
		default:
			low = rate
		}
	}
	if err := write(os.Stdout, best); err != nil {
		return err
	}
	for round := range b.rounds {
		l, err := c.lossOfIngest(ctx, in, best.PerSecond, buffer, round)
		if err != nil {
			return err
		}
		say("  ingest %8.0f datagrams/s: %d of %d lost", l.PerSecond, l.Lost, l.Sent)
		if err := write(os.Stdout, l); err != nil {
			return err
		}
	}
	return c.dev.stop()
}

// openLoop is a sender that looks at nothing but the clock.
func openLoop(port uint16, rate float64) sender {
	return sender{port: port, burst: firstBurst, rate: rate}
}

func (b *bench) lossOfNfcapd(ctx context.Context, nfcapd string, in *input, rate float64, buffer int) (l lossLine, err error) {
	flows := filepath.Join(b.dir, "nfcapd")
	if err := os.Mkdir(flows, 0o755); err != nil {
		return l, err
	}
	defer os.RemoveAll(flows)
	p, port, err := b.startNfcapd(ctx, nfcapd, flows, buffer)
	if err != nil {
		return l, err
	}
	defer p.kill()
	s := openLoop(port, rate)
	lost, err := s.send(ctx, in.path)
	return s.line(lineNfcapd, in, lost, buffer), errors.Join(err, p.stop())
}

func (c *cluster) lossOfIngest(ctx context.Context, in *input, rate float64, buffer, round int) (l lossLine, err error) {
	prefix := "loss" + strconv.Itoa(round) + "."
	if _, err := c.finish(ctx, c.command("topics", "flowctl", "topics", "--kafka.brokers", c.kafka, "--kafka.topic_prefix", prefix)); err != nil {
		return l, err
	}
	port, err := freePort("udp")
	if err != nil {
		return l, err
	}
	s, err := c.startService(ctx, systemIngest, "--listen", fmt.Sprintf("%s:%d", localhost, port), "--kafka.topic_prefix", prefix,
		"--receive_buffer", strconv.Itoa(buffer))
	if err != nil {
		return l, err
	}
	defer s.kill()
	udp := openLoop(port, rate)
	lost, err := udp.send(ctx, in.path)
	if err != nil {
		return l, err
	}
	at, err := s.finished(ctx, func(m metrics) bool { return m.decoded == in.DataRecords || m.dropped > 0 })
	l = udp.line(systemIngest, in, lost, buffer)
	l.Lost, l.Decoded = max(lost, at.dropped), at.decoded // its own count has the kernel's in it
	return l, errors.Join(err, s.stop())
}

func (s *sender) line(system string, in *input, lost uint64, buffer int) lossLine {
	return lossLine{System: system, Input: in.name, PerSecond: math.Round(float64(s.sent) / max(s.took, time.Millisecond).Seconds()),
		Sent: s.sent, Lost: lost, Records: in.DataRecords, BufferSize: buffer}
}

// grantable is the largest receive buffer that any process gets.
func grantable() int {
	text, err := os.ReadFile("/proc/sys/net/core/rmem_max")
	if err != nil {
		return receiveBuffer
	}
	n, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil {
		return receiveBuffer
	}
	return n
}
