package simulate

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// PcapWriter writes datagrams as a capture taken at the collector.
type PcapWriter struct {
	w         *pcapgo.Writer
	exporters []ExporterConfig
	collector netip.Addr
	buf       gopacket.SerializeBuffer
}

// NewPcapWriter writes the file's header. The collector's address is the
// destination of every datagram; ports are CollectorPort's.
func NewPcapWriter(w io.Writer, exporters []ExporterConfig, collector netip.Addr) (*PcapWriter, error) {
	p := &PcapWriter{w: pcapgo.NewWriter(w), exporters: exporters, collector: collector, buf: gopacket.NewSerializeBuffer()}
	if err := p.w.WriteFileHeader(65535, layers.LinkTypeEthernet); err != nil {
		return nil, fmt.Errorf("cannot write capture header: %w", err)
	}
	return p, nil
}

// CollectorPort is where a protocol is sent by custom: 2055, IPFIX 4739.
func CollectorPort(p Protocol) uint16 {
	if p == IPFIX {
		return 4739
	}
	return 2055
}

// Write writes one datagram.
func (p *PcapWriter) Write(d Datagram) error {
	x := &p.exporters[d.Exporter]
	eth := layers.Ethernet{SrcMAC: mac(byte(d.Exporter + 1)), DstMAC: mac(0xfe), EthernetType: layers.EthernetTypeIPv4}
	ip := layers.IPv4{
		Version: 4, TTL: 62, Protocol: layers.IPProtocolUDP, Flags: layers.IPv4DontFragment,
		SrcIP: net.IP(x.Addr.AsSlice()), DstIP: net.IP(p.collector.AsSlice()),
	}
	udp := layers.UDP{SrcPort: layers.UDPPort(50000 + d.Exporter), DstPort: layers.UDPPort(CollectorPort(x.Protocol))}
	if err := udp.SetNetworkLayerForChecksum(&ip); err != nil {
		return fmt.Errorf("cannot write datagram: %w", err)
	}
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(p.buf, opts, &eth, &ip, &udp, gopacket.Payload(d.Payload)); err != nil {
		return fmt.Errorf("cannot write datagram: %w", err)
	}
	frame := p.buf.Bytes()
	ci := gopacket.CaptureInfo{Timestamp: time.Unix(0, d.At).UTC(), CaptureLength: len(frame), Length: len(frame)}
	if err := p.w.WritePacket(ci, frame); err != nil {
		return fmt.Errorf("cannot write datagram: %w", err)
	}
	return nil
}

// mac is a locally administered address.
func mac(last byte) net.HardwareAddr { return net.HardwareAddr{0x02, 0, 0, 0, 0, last} }
