// Command ingest receives flow exports (NetFlow, IPFIX and sFlow v5 over UDP, IPFIX
// over TCP and TLS), reads flow logs of AWS and Zeek's dns.log, and writes them to
// Kafka as flows, events and facts about the exporters.
package main

import (
	"context"

	"github.com/flowledger/flowledger/services/internal/run"
)

func main() {
	cfg := Default()
	run.Main(run.Service{
		Name:  "ingest",
		Short: "Receive NetFlow, IPFIX and sFlow, and write flows to Kafka",
		Long: `ingest receives NetFlow v1, v5, v7, v8 and v9, IPFIX and sFlow v5 over UDP, and IPFIX
over TCP and TLS, turns every data record into a flow, an event or a dead letter, and
writes them to Kafka: flows.raw, events, dns, exporters, flows.dead. Point routers at
any of its ports; each takes every protocol. It reads AWS VPC flow logs and Zeek's
dns.log, too, where it is told to. Run as many as you like.

  ingest --kafka.brokers kafka:9092 --allow 192.0.2.0/24,2001:db8::/32`,
		Config: &cfg,
		Start: func(ctx context.Context, env *run.Env) error {
			in, err := newIngester(cfg, env.Log, env.Metrics)
			if err != nil {
				return err
			}
			env.ReadyWhen(in.ready)
			return in.run(ctx)
		},
	})
}
