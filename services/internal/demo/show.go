package demo

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// show prints what came out, and judges it.
func (p *performance) show(ctx context.Context) error {
	got, err := p.look(ctx)
	if err != nil {
		return err
	}
	p.verdict = p.judge(got)
	p.say("done")
	if err := p.showStages(ctx, got); err != nil {
		return err
	}
	p.showBiggest(got.rows)
	p.showAlerts(got.alerts)
	if err := p.showHunts(ctx); err != nil {
		return err
	}
	if err := p.showLatency(ctx, got.rows); err != nil {
		return err
	}
	p.showVerdict()
	return nil
}

func (p *performance) title(text string) {
	fmt.Fprintf(p.cfg.Out, "\n%s\n%s\n", text, strings.Repeat("─", len([]rune(text))))
}

// table prints rows whose cells are separated by tabs.
func (p *performance) table(print func(w io.Writer)) {
	w := tabwriter.NewWriter(p.cfg.Out, 0, 0, 2, ' ', 0)
	print(w)
	_ = w.Flush() // what cannot be printed is nobody's loss but the reader's
}

// stages is how much there is in tables besides.
type stages struct {
	Flows     uint64 `json:"flows"`
	Hosts     uint64 `json:"hosts"`
	Exporters uint64 `json:"exporters"`
}

func (p *performance) showStages(ctx context.Context, got found) error {
	counts, err := query[stages](ctx, p.ledger, `
SELECT (SELECT count() FROM flows WHERE time_received >= fromUnixTimestamp64Nano({since:Int64}) AND NOT late) AS flows,
       (SELECT uniqExact(host) FROM host_biflows WHERE time_opened >= fromUnixTimestamp64Nano({since:Int64})) AS hosts,
       (SELECT count() FROM exporters FINAL) AS exporters`, sinceParam(p.started))
	if err != nil {
		return err
	}
	p.title("What went through")
	c := counts[0]
	var kinds []string
	for _, x := range p.summary.Exporters {
		kinds = append(kinds, fmt.Sprintf("%s %s (%s)", number(x.Records), x.Name, x.Protocol))
	}
	p.table(func(w io.Writer) {
		fmt.Fprintf(w, "sent\t%s\t%s\t%s\n", plural(p.summary.Datagrams, "datagram"), plural(p.summary.Records(), "record"), strings.Join(kinds, ", "))
		fmt.Fprintf(w, "ingest\t%s\t%s of exporters\ttemplates, interface names, timeouts, sampling\n", plural(got.records, "flow"), plural(c.Exporters, "fact"))
		fmt.Fprintf(w, "dedup\t%s\t\teach counted once, whoever reported it\n", plural(c.Flows, "flow"))
		fmt.Fprintf(w, "stitch\t%s\tof %s\tboth directions, all segments\n", plural(uint64(len(got.rows)), "conversation"), plural(c.Hosts, "host"))
		fmt.Fprintf(w, "detect\t%s\t\t\n", plural(uint64(len(got.alerts)), "alert"))
	})
	return nil
}

func (p *performance) showBiggest(rows []conversation) {
	p.title("The biggest conversations")
	slices.SortFunc(rows, func(a, b conversation) int {
		return cmp.Or(cmp.Compare(b.ClientBytes+b.ServerBytes, a.ClientBytes+a.ServerBytes), cmp.Compare(a.ID, b.ID))
	})
	p.table(func(w io.Writer) {
		fmt.Fprintln(w, "client\tserver\tsent\treceived\tlasted\tseen by")
		for _, r := range rows[:min(5, len(rows))] {
			fmt.Fprintf(w, "%s\t%s %s\t%s\t%s\t%s\t%s\n", r.Client, r.Server, service(r.Proto, r.ServerPort),
				size(r.ClientBytes), size(r.ServerBytes), time.Duration(r.End-r.Start).Round(100*time.Millisecond), plural(r.Exporters, "exporter"))
		}
	})
}

func (p *performance) showAlerts(alerts []alert) {
	p.title("Alerts")
	for _, a := range alerts {
		fmt.Fprintf(p.cfg.Out, "%s  %-12s  %s\n", time.Unix(0, a.Time).UTC().Format("15:04:05"), a.Rule, a.Message)
	}
	if len(alerts) == 0 {
		fmt.Fprintln(p.cfg.Out, "none")
	}
}

// showLatency prints how long rows and alerts took from their datagrams.
func (p *performance) showLatency(ctx context.Context, rows []conversation) error {
	receptions, err := p.ledger.receptions(ctx, p.started)
	if err != nil {
		return err
	}
	received := make(map[flow.ConvKey]int64, len(receptions))
	for _, r := range receptions {
		k := convKey(r.Proto, r.A.Unmap(), r.APort, r.B.Unmap(), r.BPort)
		if at, ok := received[k]; !ok || r.Received < at {
			received[k] = r.Received
		}
	}
	toRow, toAlert := p.watch.latencies(received, rows)
	p.title("Latency, from datagram to what can be read (of it 10 s are dedup's hold)")
	p.table(func(w io.Writer) {
		fmt.Fprintln(w, "\tp50\tp99\tof")
		for _, l := range []struct {
			what string
			d    []time.Duration
		}{{"row in biflows", toRow}, {"alert", toAlert}} {
			fmt.Fprintf(w, "%s\t%.1f s\t%.1f s\t%d\n", l.what, quantile(l.d, .5).Seconds(), quantile(l.d, .99).Seconds(), len(l.d))
		}
	})
	return nil
}

// showVerdict holds the ledger against the truth.
func (p *performance) showVerdict() {
	v := &p.verdict
	p.title("Against the truth")
	line := func(ok bool, format string, args ...any) {
		mark := "ok   "
		if !ok {
			mark = "WRONG"
		}
		fmt.Fprintf(p.cfg.Out, "%s %s\n", mark, fmt.Sprintf(format, args...))
	}
	line(v.share() >= leastExact, "%d of %d conversations are exact: client, server, ports, packets and bytes of both directions", v.exact, v.conversations)
	line(v.ledgerBytes == v.bytes, "%s were sent, the ledger holds %s: nothing lost, nothing counted twice", exactly(v.bytes), exactly(v.ledgerBytes))
	line(v.ledgerRecords == v.records, "%s were sent, %s are behind the ledger's flows, each exporter's word kept", plural(v.records, "record"), number(v.ledgerRecords))
	line(v.alertsFound == v.alerts && len(v.accused) == 0, "%d of %s found, %d more%s", v.alertsFound, plural(uint64(v.alerts), "alert"), len(v.accused), accused(v.accused))
	if v.example != "" {
		fmt.Fprintln(p.cfg.Out, "      for example,", v.example)
	}
}

// accused lists alerts that nobody expected.
func accused(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return ": " + strings.Join(all, ", ")
}

// invite says what to try while everything is up.
func (p *performance) invite() {
	fmt.Fprintf(p.cfg.Out, `
Everything stays up until Ctrl-C. Try:
  curl '%[1]s' --data-binary "SELECT * FROM hunt_volume(since='%[2]s', until='2100-01-01') LIMIT 10 FORMAT Vertical"
  %[3]s tail alerts --from first --kafka.brokers %[4]s | jq .
  %[3]s replay YOUR.pcap --to %[5]s
Logs are in %[6]s
`, "http://"+p.stack.ledgerAddr+"/?database=ledger", p.started.UTC().Format(time.RFC3339), p.stack.binary("flowctl"),
		p.stack.kafkaAddr, p.stack.exportAddr, p.stack.logs())
}

// service names a port the short way.
func service(proto uint8, port uint16) string {
	switch proto {
	case flow.ProtoTCP:
		return fmt.Sprintf("%d/tcp", port)
	case flow.ProtoUDP:
		return fmt.Sprintf("%d/udp", port)
	case flow.ProtoICMP, flow.ProtoICMPv6:
		return "icmp"
	}
	return fmt.Sprintf("protocol %d", proto)
}

// number prints with commas.
func number(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func plural(n uint64, what string) string {
	if n != 1 {
		what += "s"
	}
	return number(n) + " " + what
}

func exactly(n uint64) string { return number(n) + " bytes" }

// size prints bytes in units of 1,000.
func size(n uint64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1_000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}
