package demo

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// hunt is a question to the ledger, as an analyst would ask it.
type hunt struct {
	question, sql string
}

// hunts are the three questions of the story.
func (p *performance) hunts() []hunt {
	since := p.started.Add(-time.Minute).UTC().Format(time.RFC3339)
	until := p.started.Add(time.Hour).UTC().Format(time.RFC3339)
	story := p.story.Expected().Story
	bad, stage := story[0].Server, story[1].Server
	return []hunt{
		{"Who met the bad site " + bad + ", and what did they do next, inside and with strangers?", fmt.Sprintf(
			`SELECT host, proto, server_port, count() AS conversations, uniqExact(peer) AS peers, countIf(conn_state = 'established') AS answered, sum(bytes_sent) AS sent, sum(bytes_received) AS received
FROM hunt_after(ioc='%s', since='%s', until='%s', seconds=3600)
GROUP BY host, proto, server_port HAVING peers > 20 OR server_port IN (22, 8443) ORDER BY min(time_flow_start)`, bad, since, until)},
		{"Who else was in touch with " + stage + ", the host it fetched from?", fmt.Sprintf(
			`SELECT peer, role, proto, server_port, conversations, sent, received, time_first FROM hunt_contacts(addr='%s', since='%s', until='%s')`, stage, since, until)},
		{"Which long SSH sessions lead outward and send more than they get, as a shell in reverse does?", fmt.Sprintf(
			`SELECT client_addr, server_addr, dateDiff('second', time_flow_start, time_flow_end) AS seconds, client_bytes, server_bytes, round(client_bytes / server_bytes, 1) AS ratio
FROM biflows FINAL
WHERE proto = 6 AND server_port = 22 AND time_opened >= parseDateTime64BestEffort('%s') AND client_bytes > 2 * server_bytes AND seconds > 15`, since)},
	}
}

// showHunts asks the questions and prints the answers.
func (p *performance) showHunts(ctx context.Context) error {
	for i, h := range p.hunts() {
		p.title(fmt.Sprintf("Hunt %d: %s", i+1, h.question))
		fmt.Fprintf(p.cfg.Out, "%s\n\n", h.sql)
		columns, rows, err := p.ledger.table(ctx, h.sql)
		if err != nil {
			return err
		}
		p.table(func(w io.Writer) {
			fmt.Fprintln(w, strings.Join(columns, "\t"))
			for _, row := range rows[:min(10, len(rows))] {
				fmt.Fprintln(w, strings.Join(row, "\t"))
			}
		})
		if len(rows) > 10 {
			fmt.Fprintf(p.cfg.Out, "… and %d more\n", len(rows)-10)
		}
	}
	return nil
}

// table is the answer to any question, as text.
func (l *ledger) table(ctx context.Context, sql string) (columns []string, rows [][]string, err error) {
	lines, err := query[[]any](ctx, l, sql+"\nFORMAT JSONCompactStringsEachRowWithNames", nil)
	if err != nil || len(lines) == 0 {
		return nil, nil, err
	}
	for _, line := range lines {
		row := make([]string, len(line))
		for i, cell := range line {
			row[i] = strings.TrimPrefix(fmt.Sprint(cell), "::ffff:")
		}
		rows = append(rows, row)
	}
	return rows[0], rows[1:], nil
}
