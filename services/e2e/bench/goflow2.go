package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// goflow2 measures goflow2's own program, with its defaults but for: the form of
// what it writes, protobuf, to where it costs nothing to write, /dev/null; and that
// it leaves datagrams in the socket while it is busy, where the sender sees them,
// instead of keeping up to a million in memory.
func (b *bench) goflow2(ctx context.Context, in *input, t *table) error {
	if _, err := os.Stat(b.options.goflow2); b.options.goflow2 == "" || errors.Is(err, os.ErrNotExist) {
		say("  there is no goflow2 to compare with: name its program with --goflow2 (make bench-ingest builds it)")
		return nil
	}
	program, err := filepath.Abs(b.options.goflow2)
	if err != nil {
		return err
	}
	return patiently(func(slower int) error {
		udp, err := freePort("udp")
		if err != nil {
			return err
		}
		tcp, err := freePort("tcp")
		if err != nil {
			return err
		}
		addr := fmt.Sprintf("%s:%d", localhost, tcp)
		s := &service{url: "http://" + addr, process: b.foreign(systemGoflow, program, "-addr", addr,
			"-listen", fmt.Sprintf("netflow://%s:%d?blocking=true", localhost, udp),
			"-format", "bin", "-transport", "file", "-transport.file", os.DevNull, "-transport.file.sep", "")}
		if err := s.start(); err != nil {
			return err
		}
		defer s.kill()
		err = s.until(ctx, servicePatience, "it listened", func(context.Context) (bool, error) {
			_, ok, err := udpSocket(udp)
			return ok, err
		})
		if err != nil {
			return err
		}
		to := b.sender(udp, slower)
		to.enough = littleEnough // it asks for no buffer of its own
		lost, err := to.send(ctx, in.path)
		if err != nil {
			return err
		}
		if lost > 0 {
			return fmt.Errorf("goflow2: %w: %d of %d", errLost, lost, to.sent)
		}
		decoded, err := s.settled(ctx, in.DataRecords)
		if err = errors.Join(err, s.stop()); err != nil {
			return fmt.Errorf("%w\nit stood at %d records of %d", err, decoded, in.DataRecords)
		}
		if decoded < in.DataRecords {
			// Its workers race: what one reads before another has kept its template is lost.
			say("  note: goflow2 lost %d records before it knew their template", in.DataRecords-decoded)
		}
		t.add(systemGoflow, s.cost)
		return nil
	})
}

// settled waits until goflow2 has decoded all records, or nearly all and no more come.
func (s *service) settled(ctx context.Context, all uint64) (decoded uint64, err error) {
	const still = 3 * time.Second
	moved := time.Now()
	err = s.until(ctx, time.Minute, "it had produced all records", func(ctx context.Context) (bool, error) {
		text, err := get(ctx, s.url+"/metrics")
		if err != nil {
			return false, err
		}
		if now := readMetrics(text).decoded; now != decoded {
			decoded, moved = now, time.Now()
		}
		return decoded == all || decoded > all/100*99 && time.Since(moved) > still, nil
	})
	return decoded, err
}
