package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// role is who sent a segment: client or server.
func (s *story) role(f *flowv1.Flow) string {
	b := s.biflow
	if flow.AddrFrom(f.SrcAddr) == flow.AddrFrom(b.ClientAddr) && (!flow.HasPorts(uint8(b.Proto)) || f.SrcPort == b.ClientPort) {
		return "client"
	}
	return "server"
}

// print writes the heading, the timeline and the sparklines.
func (s *story) print(w io.Writer) {
	b := s.biflow
	state := strings.TrimPrefix(b.ConnState.String(), "CONN_STATE_")
	end := "open"
	if !isOpen(b) {
		end = "closed by " + strings.TrimPrefix(b.CloseReason.String(), "CLOSE_REASON_")
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "conversation\t%d (protocol %d, realm %d)\n", b.FlowId, b.Proto, b.Realm)
	fmt.Fprintf(t, "client\t%s\tsent %s bytes in %s packets\n", endpoint(b.ClientAddr, b.ClientPort), count(b.ClientBytes), count(b.ClientPackets))
	fmt.Fprintf(t, "server\t%s\tsent %s bytes in %s packets\n", endpoint(b.ServerAddr, b.ServerPort), count(b.ServerBytes), count(b.ServerPackets))
	fmt.Fprintf(t, "state\t%s, %s\n", strings.ToLower(state), strings.ToLower(end))
	fmt.Fprintf(t, "time\t%s to %s, %s\n", instant(b.TimeFlowStartNs), instant(b.TimeFlowEndNs), length(b.TimeFlowStartNs, b.TimeFlowEndNs))
	if b.SamplingRate > 1 {
		fmt.Fprintf(t, "sampled\tone in %d: counts are as metered\n", b.SamplingRate)
	}
	for _, l := range s.linked {
		fmt.Fprintf(t, "see also\t%d %s to %s\n", l.FlowId, endpoint(l.ClientAddr, l.ClientPort), endpoint(l.ServerAddr, l.ServerPort))
	}
	if b.PrevFlowId != 0 {
		fmt.Fprintf(t, "continues\t%d\n", b.PrevFlowId)
	}
	_ = t.Flush()
	fmt.Fprintln(w)
	s.timeline(w)
	s.sparklines(w)
	for _, d := range s.differences() {
		fmt.Fprintln(w, d)
	}
}

func (s *story) timeline(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TIME\tDURATION\tFROM\tEXPORTERS\tAUTHORITY\tIN>OUT\tPACKETS\tBYTES\tFLAGS\tEND")
	for _, f := range s.segments {
		rule := strings.ToLower(strings.TrimPrefix(f.Authority.String(), "AUTHORITY_"))
		if f.Late {
			rule = "late"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d>%d\t%s\t%s\t%s\t%s\n", instant(f.TimeFlowStartNs), length(f.TimeFlowStartNs, f.TimeFlowEndNs),
			s.role(f), exporters(f), rule, f.InIf, f.OutIf, count(f.Packets), count(f.Bytes), tcpFlags(f), endReason(f.FlowEndReason))
	}
	_ = t.Flush()
}

func (s *story) sparklines(w io.Writer) {
	start, end := s.biflow.TimeFlowStartNs, s.biflow.TimeFlowEndNs
	for _, f := range s.segments {
		if !f.Late {
			start, end = min(start, f.TimeFlowStartNs), max(end, f.TimeFlowEndNs)
		}
	}
	whole := time.Duration(end - min(start, end))
	width := bucketWidth(whole, sparkColumns)
	sides := map[string][]uint64{}
	for _, role := range []string{"client", "server"} {
		sides[role] = make([]uint64, whole/width+1)
	}
	for _, f := range s.segments {
		spread(sides[s.role(f)], start, width, f)
	}
	fmt.Fprintf(w, "\nbytes over time, a column is %s\n", width)
	for _, role := range []string{"client", "server"} {
		line, tallest := sparkline(sides[role])
		fmt.Fprintf(w, "%s |%s| at most %s\n", role, line, size(tallest))
	}
}

// differences says where the segments do not add up to the conversation.
func (s *story) differences() []string {
	b := s.biflow
	var clientBytes, serverBytes, clientPackets, serverPackets uint64
	for _, f := range s.segments {
		if s.role(f) == "client" {
			clientBytes, clientPackets = clientBytes+f.Bytes, clientPackets+f.Packets
		} else {
			serverBytes, serverPackets = serverBytes+f.Bytes, serverPackets+f.Packets
		}
	}
	if clientBytes == b.ClientBytes && serverBytes == b.ServerBytes && clientPackets == b.ClientPackets && serverPackets == b.ServerPackets {
		return nil
	}
	return []string{fmt.Sprintf("The segments add up to %s and %s bytes in %s and %s packets, the conversation says %s and %s in %s and %s.",
		count(clientBytes), count(serverBytes), count(clientPackets), count(serverPackets),
		count(b.ClientBytes), count(b.ServerBytes), count(b.ClientPackets), count(b.ServerPackets)),
		"Segments expire earlier (14 days by default), an open conversation is brought up to date once a minute, and one on the same ports may overlap."}
}

func endpoint(addr []byte, port uint32) string {
	a := flow.AddrFrom(addr)
	if port == 0 {
		return a.Netip().String()
	}
	return fmt.Sprintf("%s port %d", a.Netip(), port)
}

func instant(ns uint64) string {
	return time.Unix(0, int64(ns)).UTC().Format("2006-01-02T15:04:05.000Z")
}

func length(start, end uint64) time.Duration {
	return time.Duration(end - min(start, end)).Round(time.Millisecond)
}

// exporters lists the authority first, then the others that saw the packets.
func exporters(f *flowv1.Flow) string {
	a := flow.AddrFrom(f.SamplerAddress)
	text := a.Netip().String()
	for _, r := range f.Reporters {
		a := flow.AddrFrom(r.SamplerAddress)
		text += " +" + a.Netip().String()
	}
	return text
}

func tcpFlags(f *flowv1.Flow) string {
	if f.Proto != flow.ProtoTCP {
		return "-"
	}
	text := []byte("CEUAPRSF")
	for i := range text {
		if f.TcpFlags&(0x80>>i) == 0 {
			text[i] = '.'
		}
	}
	return string(text)
}

// endReason is flowEndReason (IANA element 136) in words.
func endReason(n uint32) string {
	words := []string{"-", "idle", "active timeout", "end detected", "forced", "lack of resources"}
	if int(n) < len(words) {
		return words[n]
	}
	return fmt.Sprint(n)
}
