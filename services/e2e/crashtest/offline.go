package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/detect/rule"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/pipeline"
	"github.com/flowledger/flowledger/services/internal/policy"
)

// ledger is what one side says: a line for each conversation and finding.
type ledger struct {
	biflows map[uint64]string
	alerts  map[string]string
	// flows is the number of de-duplicated flows, late ones too.
	flows int
	// datagrams is how many were read.
	datagrams int
	// twice is the number of rows of flows that stand more than once.
	twice int
}

// offline is the ledger without Kafka: the ideal.
func offline(path, policyPath string) (*ledger, error) {
	l := &ledger{biflows: make(map[uint64]string), alerts: make(map[string]string)}
	p, err := pipeline.New(pipeline.Default(), pipeline.Observer{
		Deduped: func(*flowv1.Flow) { l.flows++ },
		Update:  func(b *flowv1.Biflow) { l.biflows[b.FlowId] = biflowLine(b) },
		Alert:   func(a *rule.Alert) { l.alerts[a.UID] = string(a.JSON) },
	})
	if err != nil {
		return nil, err
	}
	if policyPath != "" {
		f, err := policy.Load(policyPath)
		if err != nil {
			return nil, err
		}
		if err := p.Policy(f.Message(1, 0)); err != nil {
			return nil, err
		}
	}
	if err := pipeline.ReadCapture(path, p.Datagram); err != nil {
		return nil, err
	}
	p.End()
	l.datagrams = int(p.Summary().Datagrams)
	return l, nil
}

// biflowLine has everything that two ledgers must agree on.
func biflowLine(b *flowv1.Biflow) string {
	client, server := flow.AddrFrom(b.ClientAddr), flow.AddrFrom(b.ServerAddr)
	return fmt.Sprintf("v%d realm %d proto %d %s:%d>%s:%d client %d/%d/%#x server %d/%d/%#x %s..%s opened %s updated %s %s %d%% %s %s icmp %d/%d segments %d reporters %d",
		b.Version, b.Realm, b.Proto, client.Netip(), b.ClientPort, server.Netip(), b.ServerPort,
		b.ClientBytes, b.ClientPackets, b.ClientTcpFlags, b.ServerBytes, b.ServerPackets, b.ServerTcpFlags,
		nanos(b.TimeFlowStartNs), nanos(b.TimeFlowEndNs), nanos(b.TimeOpenedNs), nanos(b.TimeUpdatedNs),
		short(b.InitiatorEvidence.String(), "INITIATOR_EVIDENCE_"), percent(b.InitiatorConfidence),
		short(b.ConnState.String(), "CONN_STATE_"), short(b.CloseReason.String(), "CLOSE_REASON_"),
		b.IcmpType, b.IcmpCode, b.Segments, len(b.Reporters))
}

func nanos(ns uint64) string {
	return time.Unix(0, int64(ns)).UTC().Format("2006-01-02T15:04:05.000000000")
}

func percent(f float32) int { return int(math.Round(float64(f) * 100)) }

func short(enum, prefix string) string { return strings.ToLower(strings.TrimPrefix(enum, prefix)) }
