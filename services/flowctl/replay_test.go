package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// sentence is one datagram of a test capture: an IPFIX header and a word.
type sentence struct {
	at   time.Duration
	from string
	word string
}

// writeCapture writes a raw-IP pcap file.
func writeCapture(t *testing.T, list ...sentence) string {
	t.Helper()
	var buf bytes.Buffer
	w := pcapgo.NewWriterNanos(&buf)
	if err := w.WriteFileHeader(65535, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		from := netip.MustParseAddrPort(s.from)
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: from.Addr().AsSlice(), DstIP: net.IPv4(198, 51, 100, 9)}
		udp := &layers.UDP{SrcPort: layers.UDPPort(from.Port()), DstPort: 4739}
		udp.SetNetworkLayerForChecksum(ip)
		payload := binary.BigEndian.AppendUint16([]byte{0, 10}, uint16(16+len(s.word)))
		payload = append(append(payload, make([]byte, 12)...), s.word...)
		out := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(out, gopacket.SerializeOptions{FixLengths: true}, ip, udp, gopacket.Payload(payload)); err != nil {
			t.Fatal(err)
		}
		ci := gopacket.CaptureInfo{Timestamp: time.Unix(1_700_000_000, 0).Add(s.at), CaptureLength: len(out.Bytes()), Length: len(out.Bytes())}
		if err := w.WritePacket(ci, out.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "a.pcap")
	if err := os.WriteFile(path, buf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// received is one datagram that came over loopback.
type received struct {
	from netip.AddrPort
	word string
}

// listen counts n datagrams on a loopback port and gives them to the channel.
func listen(t *testing.T, n int) (addr string, got <-chan []received) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	done := make(chan []received, 1)
	go func() {
		defer close(done)
		var list []received
		buf := make([]byte, 65536)
		for len(list) < n {
			k, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return // the test ended early
			}
			list = append(list, received{netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), string(buf[16:k])})
		}
		done <- list
	}()
	return conn.LocalAddr().String(), done
}

func take(t *testing.T, got <-chan []received) []received {
	t.Helper()
	select {
	case list := <-got:
		return list
	case <-time.After(testPatience):
		t.Fatal("the datagrams did not arrive")
		return nil
	}
}

// ctl runs a command line and returns what it wrote.
func ctl(ctx context.Context, args ...string) (stdout, stderr string, err error) {
	var out, errs bytes.Buffer
	root := newRoot()
	root.SetArgs(append([]string{}, args...)) // never nil, which is the test binary's own
	root.SetOut(&out)
	root.SetErr(&errs)
	err = root.ExecuteContext(ctx)
	return out.String(), errs.String(), err
}

func TestReplaySpread(t *testing.T) {
	path := writeCapture(t, sentence{0, "192.0.2.7:1000", "a"}, sentence{0, "192.0.2.8:1000", "b"}, sentence{0, "10.0.2.7:1000", "c"}, sentence{0, "192.0.2.7:1000", "d"})
	to, got := listen(t, 4)
	_, stderr, err := ctl(t.Context(), "replay", path, "--to", to, "--speed", "max", "--spread")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range take(t, got) {
		lines = append(lines, r.from.Addr().String()+" "+r.word)
	}
	slices.Sort(lines)
	if diff := cmp.Diff(lines, []string{"127.0.2.7 a", "127.0.2.7 d", "127.0.2.8 b", "127.127.0.1 c"}); diff != "" {
		t.Errorf("(-got, +want)\n%s", diff)
	}
	if !strings.Contains(stderr, "10.0.2.7 from 127.127.0.1") {
		t.Errorf("the mapping is not told:\n%s", stderr)
	}
}

func TestReplayOneSource(t *testing.T) {
	path := writeCapture(t, sentence{0, "192.0.2.7:1000", "a"}, sentence{0, "192.0.2.8:1001", "b"})
	to, got := listen(t, 2)
	if _, _, err := ctl(t.Context(), "replay", path, "--to", to, "--speed", "max", "--bind", "127.0.0.5"); err != nil {
		t.Fatal(err)
	}
	list := take(t, got)
	if list[0].from != list[1].from || list[0].from.Addr() != netip.MustParseAddr("127.0.0.5") {
		t.Errorf("sent from %v and %v, want both from one port of 127.0.0.5", list[0].from, list[1].from)
	}
}

// TestReplayKeepsSpacing takes as long as the capture did, or as --rate says, of a capture
// that did so long that nobody would wait for it.
func TestReplayKeepsSpacing(t *testing.T) {
	path := writeCapture(t, sentence{0, "192.0.2.7:1000", "a"}, sentence{10 * time.Hour, "192.0.2.7:1000", "b"})
	for _, tt := range []struct {
		args []string
		want time.Duration
	}{{[]string{"--speed", "360000"}, 100 * time.Millisecond}, {[]string{"--rate", "20"}, 50 * time.Millisecond}} {
		to, got := listen(t, 2)
		ctx, cancel := context.WithTimeout(t.Context(), testPatience)
		defer cancel()
		start := time.Now()
		if _, _, err := ctl(ctx, append([]string{"replay", path, "--to", to}, tt.args...)...); err != nil {
			t.Fatal(err)
		}
		take(t, got)
		if took := time.Since(start); took < tt.want {
			t.Errorf("%v took %v, want %v", tt.args, took, tt.want)
		}
	}
}

func TestReplayLoopsUntilInterrupted(t *testing.T) {
	path := writeCapture(t, sentence{0, "192.0.2.7:1000", "a"})
	to, got := listen(t, 5)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, _, err := ctl(ctx, "replay", path, "--to", to, "--rate", "1000", "--loop")
		done <- err
	}()
	take(t, got)
	cancel()
	if err := <-done; err == nil {
		t.Error("no error after an interrupt")
	}
}

func TestReplayWithoutListener(t *testing.T) {
	// A port at which somebody else is spoken with: nobody listens, and nobody can.
	conn, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2), Port: 9})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	to := conn.LocalAddr().String()
	path := writeCapture(t, sentence{0, "192.0.2.7:1000", "a"}, sentence{time.Second, "192.0.2.7:1000", "b"}, sentence{2 * time.Second, "192.0.2.7:1000", "c"})
	_, stderr, err := ctl(t.Context(), "replay", path, "--to", to, "--speed", "20")
	if err == nil || !strings.Contains(err.Error(), "nobody listened") || !strings.Contains(stderr, "start ingest") {
		t.Errorf("got %v and\n%s", err, stderr)
	}
}

func TestSpeed(t *testing.T) {
	for text, want := range map[string]speed{"1": 1, "10": 10, "0.5": 0.5, "max": 0} {
		var s speed
		if err := s.Set(text); err != nil || s != want || s.String() != text {
			t.Errorf("%s: got %v (%s), %v", text, float64(s), s.String(), err)
		}
	}
	for _, text := range []string{"", "0", "-1", "fast", "NaN", "+Inf"} {
		var s speed
		if err := s.Set(text); err == nil {
			t.Errorf("%q is taken for a speed", text)
		}
	}
}
