package simulate

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// TestPcapComesBack: a capture holds the datagrams, their times and addresses.
func TestPcapComesBack(t *testing.T) {
	cfg := DefaultTalk()
	cfg.Duration = 20 * time.Second
	s, err := NewTalk(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	w, err := NewPcapWriter(&file, s.Exporters(), s.Collector())
	if err != nil {
		t.Fatal(err)
	}
	var want []Datagram
	if _, err := s.Run(Output{Datagram: func(d Datagram) error {
		want = append(want, Datagram{d.At, d.Exporter, bytes.Clone(d.Payload)})
		return w.Write(d)
	}}); err != nil {
		t.Fatal(err)
	}
	r, err := pcapgo.NewReader(&file)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		frame, ci, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			if i != len(want) {
				t.Errorf("%d frames, want %d", i, len(want))
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		checkFrame(t, frame, ci.Timestamp, &want[i], s)
	}
}

func checkFrame(t *testing.T, frame []byte, at time.Time, want *Datagram, s *Talk) {
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	ip, _ := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
	udp, _ := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
	if ip == nil || udp == nil {
		t.Fatalf("no UDP in %x", frame)
	}
	x := s.Exporters()[want.Exporter]
	if ip.SrcIP.String() != x.Addr.String() || uint16(udp.DstPort) != CollectorPort(x.Protocol) || len(frame) > 1514 {
		t.Errorf("frame of %d octets from %v to port %d", len(frame), ip.SrcIP, udp.DstPort)
	}
	if !bytes.Equal(udp.Payload, want.Payload) || at.UnixMicro() != want.At/1000 {
		t.Errorf("a datagram came back otherwise")
	}
}
