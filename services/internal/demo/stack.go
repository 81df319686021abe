package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/flowledger/flowledger/services/internal/embedded/port"
)

// stack is all processes of the system on this machine.
type stack struct {
	cfg        *Config
	began      time.Time
	children   []*child // in order of start
	kafkaAddr  string
	ledgerAddr string
	exportAddr netip.AddrPort
	release    []func() // gives ports back
}

// Patience with starts and stops. The first start may fetch the ledger's engine.
const (
	devPatience     = 5 * time.Minute
	servicePatience = 3 * time.Minute
	stopPatience    = 30 * time.Second
)

func newStack(cfg *Config) *stack { return &stack{cfg: cfg, began: cfg.Now()} }

func (s *stack) logs() string              { return filepath.Join(s.cfg.Dir, "logs") }
func (s *stack) binary(name string) string { return filepath.Join(s.cfg.Bin, name) }

// start brings everything up, each thing once what it needs is there.
func (s *stack) start(ctx context.Context) error {
	if err := os.MkdirAll(s.logs(), 0o755); err != nil {
		return fmt.Errorf("cannot make the folder for logs: %w", err)
	}
	if err := s.startDev(ctx); err != nil {
		return err
	}
	return s.startServices(ctx)
}

// startDev starts the broker and the ledger's engine, with topics and tables.
func (s *stack) startDev(ctx context.Context) error {
	say(s.cfg, s.began, "starting a Kafka broker and a ClickHouse")
	file := filepath.Join(s.cfg.Dir, "ready.json")
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot remove what an earlier run left: %w", err)
	}
	dev, err := s.spawn("dev", "flowctl", "dev", "--dir", filepath.Join(s.cfg.Dir, "data"), "--ready-file", file,
		"--kafka-port", strconv.Itoa(s.cfg.KafkaPort), "--clickhouse-port", strconv.Itoa(s.cfg.LedgerPort))
	if err != nil {
		return err
	}
	return dev.until(ctx, devPatience, "broker and ledger were ready", func(context.Context) error {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var at struct{ Kafka, ClickHouse string }
		if err := json.Unmarshal(text, &at); err != nil {
			return err
		}
		s.kafkaAddr, s.ledgerAddr = at.Kafka, at.ClickHouse
		return nil
	})
}

// startServices starts the five services and waits until all are ready.
func (s *stack) startServices(ctx context.Context) error {
	say(s.cfg, s.began, "starting sink, detect, stitch, dedup and ingest")
	export, err := freePort(s.cfg.ExportPort)
	if err != nil {
		return err
	}
	s.exportAddr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(export))
	ready := map[*child]string{}
	for _, service := range []struct {
		name string
		args []string
	}{
		{"sink", []string{"--clickhouse.addr", s.ledgerAddr}},
		{"detect", nil},
		{"stitch", []string{"--stitch.update_every", "10s"}},
		{"dedup", nil},
		{"ingest", []string{"--listen", s.exportAddr.String()}},
	} {
		addr, release, err := port.Keep()
		if err != nil {
			return err
		}
		s.release = append(s.release, release)
		c, err := s.spawn(service.name, service.name, append([]string{"--kafka.brokers", s.kafkaAddr, "--http.addr", addr}, service.args...)...)
		if err != nil {
			return err
		}
		ready[c] = "http://" + addr + "/readyz"
	}
	for _, c := range s.children {
		url, ok := ready[c]
		if !ok {
			continue
		}
		if err := c.until(ctx, servicePatience, "it was ready", func(ctx context.Context) error { return ask(ctx, url) }); err != nil {
			return err
		}
	}
	return nil
}

func (s *stack) spawn(name, binary string, args ...string) (*child, error) {
	c, err := spawn(name, s.logs(), s.binary(binary), args...)
	if err == nil {
		s.children = append(s.children, c)
	}
	return c, err
}

// guard runs work while all processes live; if one ends, work is stopped and
// the end is the error.
func (s *stack) guard(ctx context.Context, work func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for _, c := range s.children {
		go func() {
			select {
			case <-c.done:
				cancel(c.ended())
			case <-ctx.Done():
			}
		}()
	}
	err := work(ctx)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// stop ends all processes, those first that others listen to last.
func (s *stack) stop() error {
	var errs []error
	for i := len(s.children) - 1; i >= 0; i-- {
		errs = append(errs, s.children[i].stop(stopPatience))
	}
	for _, release := range s.release {
		release()
	}
	return errors.Join(errs...)
}

// freePort finds a UDP port of 127.0.0.1 that nobody uses; with want it must be that one.
func freePort(want int) (int, error) {
	c, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", want))
	if err != nil {
		return 0, fmt.Errorf("cannot use UDP port %d; choose another, or 0 for any: %w", want, err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port, nil
}

// ask wants 200 from a URL.
func ask(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
		return fmt.Errorf("it says %s: %s", resp.Status, body)
	}
	return nil
}
