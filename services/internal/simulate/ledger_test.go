package simulate_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/detect/rule"
	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/internal/pipeline"
	"github.com/flowledger/flowledger/services/internal/simulate"
	"github.com/flowledger/flowledger/services/internal/testkit"
)

// TestLedgerTellsTheStory plays the story through the whole pipeline: the
// ledger finds the conversations, counts no volume twice, and accuses the
// scanner and nobody else.
func TestLedgerTellsTheStory(t *testing.T) {
	for seed := range uint64(3) {
		for _, duration := range []time.Duration{40 * time.Second, 5 * time.Minute} {
			t.Run(fmt.Sprintf("seed %d, %s", seed, duration), func(t *testing.T) {
				cfg := simulate.DefaultTalk()
				cfg.Seed, cfg.Duration = seed, duration
				s, err := simulate.NewTalk(cfg)
				if err != nil {
					t.Fatal(err)
				}
				truths, ledger, alerts := ledgerOf(t, s)
				r := testkit.CompareTruth(truths, ledger)
				if r.Exact != r.Conversations {
					t.Errorf("%d of %d conversations are exact, %d flipped", r.Exact, r.Conversations, r.Flipped)
					for _, e := range r.Examples {
						t.Log(e)
					}
				}
				if r.LedgerBytes != r.Bytes {
					t.Errorf("the ledger holds %d bytes, the truth %d", r.LedgerBytes, r.Bytes)
				}
				checkAlerts(t, s.Expected(), alerts)
			})
		}
	}
}

// ledgerOf plays a scenario through the pipeline.
func ledgerOf(t *testing.T, s simulate.Scenario) (truths []testkit.Truth, ledger []*flowv1.Biflow, alerts []*rule.Alert) {
	t.Helper()
	p, err := pipeline.New(pipeline.Default(), pipeline.Observer{
		Update: func(b *flowv1.Biflow) {
			if b.CloseReason != 0 {
				ledger = append(ledger, proto.Clone(b).(*flowv1.Biflow))
			}
		},
		Alert: func(a *rule.Alert) {
			alerts = append(alerts, &rule.Alert{Host: a.Host, UID: a.UID, JSON: bytes.Clone(a.JSON)})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	exporters := s.Exporters()
	_, err = s.Run(simulate.Output{
		Datagram: func(d simulate.Datagram) error {
			p.Datagram(normalize.Datagram{Exporter: exporters[d.Exporter].Addr, Port: 50000, ReceivedNs: uint64(d.At), Payload: bytes.Clone(d.Payload)})
			return nil
		},
		Truth: func(c *simulate.Truth) error {
			var line testkit.Truth
			err := json.Unmarshal(c.AppendJSON(nil), &line)
			truths = append(truths, line)
			return err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.End()
	return truths, ledger, alerts
}

// checkAlerts wants every expected finding, and none against anybody else.
func checkAlerts(t *testing.T, want *simulate.Expected, got []*rule.Alert) {
	t.Helper()
	found := map[string]bool{}
	for _, a := range got {
		var finding struct {
			FindingInfo struct {
				Analytic struct {
					UID string `json:"uid"`
				} `json:"analytic"`
			} `json:"finding_info"`
			Message string `json:"message"`
		}
		if err := json.Unmarshal(a.JSON, &finding); err != nil {
			t.Fatal(err)
		}
		key := finding.FindingInfo.Analytic.UID + " " + a.Host.Netip().String()
		if !found[key] {
			t.Log(finding.Message)
		}
		found[key] = true
	}
	for _, a := range want.Alerts {
		key := a.Rule + " " + a.Host
		if !found[key] {
			t.Errorf("no alert %q among %v", key, found)
		}
		delete(found, key)
	}
	for key := range found {
		t.Errorf("alert %q was not expected", key)
	}
}
