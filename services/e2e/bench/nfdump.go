package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// nfdump measures nfcapd, which is sent the capture over UDP and writes its
// files, and then nfdump pairing what is in them. (nfcapd as distributions build
// it reads no captures.) With `-o null` nfdump prints nothing: of the forms in
// which it pairs at all, the cheapest.
func (b *bench) nfdump(ctx context.Context, in *input, t *table) error {
	nfcapd, err1 := exec.LookPath("nfcapd")
	nfdump, err2 := exec.LookPath("nfdump")
	if err1 != nil || err2 != nil {
		say("  nfcapd and nfdump are not installed, so there is nothing to compare with; on Debian and Ubuntu: apt install nfdump")
		return nil
	}
	flows := filepath.Join(b.dir, "nfcapd")
	defer os.RemoveAll(flows)
	collected, err := b.collect(ctx, nfcapd, flows, in)
	if err != nil {
		return err
	}
	if err := b.stored(ctx, nfdump, flows, in); err != nil {
		return err
	}
	if !b.chosen(systemNfdump) {
		t.add(lineNfcapd, collected)
		if !b.chosen(systemIngest) {
			return nil
		}
		packed, err := b.collect(ctx, nfcapd, flows, in, "-y") // LZ4
		if err != nil {
			return err
		}
		t.add(lineNfcapdPacked, packed)
		return nil
	}
	paired, err := b.finish(ctx, b.foreign("nfdump", nfdump, "-C", "none", "-R", flows, "-B", "-o", "null", "-q"))
	if err != nil {
		return err
	}
	t.add(lineNfcapd, collected)
	t.add(lineNfdump, paired)
	t.add(lineBoth, collected.and(paired))
	return nil
}

// collect runs nfcapd for as long as the capture is sent to it, again where some is lost.
func (b *bench) collect(ctx context.Context, nfcapd, flows string, in *input, args ...string) (c cost, err error) {
	err = patiently(func(slower int) (err error) {
		c, err = b.collectOnce(ctx, nfcapd, flows, in, slower, args)
		return err
	})
	return c, err
}

func (b *bench) collectOnce(ctx context.Context, nfcapd, flows string, in *input, slower int, args []string) (cost, error) {
	if err := os.RemoveAll(flows); err != nil {
		return cost{}, err
	}
	if err := os.Mkdir(flows, 0o755); err != nil {
		return cost{}, err
	}
	p, port, err := b.startNfcapd(ctx, nfcapd, flows, receiveBuffer, args...)
	if err != nil {
		return cost{}, err
	}
	defer p.kill()
	s := b.sender(port, slower)
	lost, err := s.send(ctx, in.path)
	if err != nil {
		return cost{}, err
	}
	if err := p.stop(); err != nil {
		return cost{}, err
	}
	if lost > 0 {
		return cost{}, fmt.Errorf("nfcapd: %w: %d of %d", errLost, lost, s.sent)
	}
	return p.cost, nil
}

// startNfcapd starts it and waits until it listens.
func (b *bench) startNfcapd(ctx context.Context, nfcapd, flows string, buffer int, args ...string) (*process, uint16, error) {
	port, err := freePort("udp")
	if err != nil {
		return nil, 0, err
	}
	// One file for all: its rotation, once a day, must not fall into the measurement.
	p := b.foreign("nfcapd", nfcapd, append(args, "-C", "none", "-w", flows, "-b", localhost.String(), "-p", strconv.Itoa(int(port)),
		"-B", strconv.Itoa(buffer), "-t", "86400")...)
	if err := p.start(); err != nil {
		return nil, 0, err
	}
	err = p.until(ctx, 10*time.Second, "it listened", func(context.Context) (bool, error) {
		_, ok, err := udpSocket(port)
		return ok, err
	})
	if err != nil {
		p.kill()
		return nil, 0, err
	}
	return p, port, nil
}

// receiveBuffer is what collectors ask the kernel for, bytes.
const receiveBuffer = 16 << 20

// stored says where nfcapd kept fewer or more records than there are: nothing was
// lost on the way, but formats differ in what is a record.
func (b *bench) stored(ctx context.Context, nfdump, flows string, in *input) error {
	p := b.foreign("nfdump-count", nfdump, "-C", "none", "-R", flows, "-I")
	if _, err := b.finish(ctx, p); err != nil {
		return err
	}
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err
	}
	n, err := flowCount(text)
	if err != nil {
		return err
	}
	if n != in.DataRecords {
		say("  note: nfcapd stored %d records, flowctl run found %d data records", n, in.DataRecords)
	}
	return nil
}

// flowCount reads the number of records out of `nfdump -I`.
func flowCount(text []byte) (uint64, error) {
	for line := range bytes.Lines(text) {
		if n, ok := strings.CutPrefix(string(bytes.TrimSpace(line)), "Flows: "); ok {
			return strconv.ParseUint(n, 10, 64)
		}
	}
	return 0, fmt.Errorf("nfdump -I does not say how many flows there are:\n%s", text)
}
