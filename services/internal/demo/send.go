package demo

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/flowledger/flowledger/services/internal/simulate"
)

// packet is a datagram to be sent when its time has come.
type packet struct {
	at       int64
	exporter int
	payload  []byte
}

// send sends the story as the exporters would, in real time.
func (p *performance) send(ctx context.Context) error {
	conns, err := dialExporters(p.story.Exporters(), p.stack.exportAddr)
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	if err != nil {
		return err
	}
	p.say("sending %d datagrams over UDP, as three exporters would, for %.0f s", len(p.datagram),
		time.Duration(p.summary.Last-p.summary.First).Seconds())
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := range p.datagram {
		d := &p.datagram[i]
		timer.Reset(time.Unix(0, d.at).Sub(p.cfg.Now()))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		if _, err := conns[d.exporter].Write(d.payload); err != nil {
			return fmt.Errorf("cannot send a datagram to ingest: %w", err)
		}
	}
	return nil
}

// dialExporters opens a socket per exporter, each on a loopback address of its
// own where the system has such addresses (Linux), so that each looks like
// another device. Elsewhere their observation domains tell them apart.
func dialExporters(exporters []simulate.ExporterConfig, to netip.AddrPort) (conns []*net.UDPConn, err error) {
	target := net.UDPAddrFromAddrPort(to)
	for i := range exporters {
		own := &net.UDPAddr{IP: net.IPv4(127, 0, 0, byte(11+i))}
		c, err := net.DialUDP("udp4", own, target)
		if err != nil {
			c, err = net.DialUDP("udp4", nil, target)
		}
		if err != nil {
			return conns, fmt.Errorf("cannot open a socket to send from: %w", err)
		}
		conns = append(conns, c)
	}
	return conns, nil
}
