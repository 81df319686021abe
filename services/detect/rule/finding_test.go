package rule

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// alertsOf plays flows to their end and keeps the raw JSON.
func alertsOf(t *testing.T, flows []*flowv1.Biflow) (out [][]byte) {
	t.Helper()
	l := timeline{}
	l.add(0, flows...)
	s := newSet(t, Default())
	keep := func(a *Alert) { out = append(out, a.JSON) }
	ticks := l.ticks()
	for _, tick := range ticks {
		tickWith(s, tick, l[tick], keep)
	}
	s.End(ticks[len(ticks)-1]+1, keep)
	return out
}

func someAlerts(t *testing.T) [][]byte {
	flows := spread(16, time.Second, func(i int) *flowv1.Biflow {
		b := call(0, 0, "198.51.100.9", "10.0.0.5", 8000+i, rejected)
		if i == 15 {
			b.ConnState = established
		}
		return b
	})
	flows = append(flows, call(99, 20*time.Second, "10.0.0.9", "203.0.113.5", 445, established))
	return alertsOf(t, flows)
}

// TestAlertsAreWhatTheyWere keeps the whole JSON under review.
func TestAlertsAreWhatTheyWere(t *testing.T) {
	var b bytes.Buffer
	for _, a := range someAlerts(t) {
		if err := json.Indent(&b, a, "", "  "); err != nil {
			t.Fatal(err)
		}
		b.WriteByte('\n')
	}
	golden(t, "testdata/alerts.json", b.String())
}

// TestAlertsFollowOCSF checks what OCSF 1.5.0 requires of a Detection Finding
// and of the objects in it (ocsf-schema, events/findings and objects).
func TestAlertsFollowOCSF(t *testing.T) {
	alerts := someAlerts(t)
	if len(alerts) != 4 {
		t.Fatalf("got %d alerts, want two findings, each created and closed", len(alerts))
	}
	for _, a := range alerts {
		var v map[string]any
		if err := json.Unmarshal(a, &v); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{
			"activity_id", "category_uid", "class_uid", "type_uid", "severity_id", "time", "metadata.version", "metadata.product.name",
			"metadata.product.vendor_name", "finding_info.uid", "finding_info.title", "finding_info.analytic.type_id",
			"finding_info.analytic.name", "finding_info.attacks.0.technique.uid", "finding_info.attacks.0.tactic.uid",
			"finding_info.related_events_count", "evidences.0.src_endpoint.ip", "evidences.0.dst_endpoint.ip",
			"evidences.0.connection_info.direction_id", "observables.0.name", "observables.0.type_id", "observables.0.value",
			"message", "confidence_id", "status_id", "count", "unmapped.hunt_sql",
		} {
			if lookup(v, strings.Split(path, ".")) == nil {
				t.Errorf("%s is missing in %s", path, a)
			}
		}
		if got, want := v["type_uid"].(float64), v["class_uid"].(float64)*100+v["activity_id"].(float64); got != want || v["class_uid"] != 2004.0 {
			t.Errorf("type_uid is %v, want %v", got, want)
		}
		if ms := v["time"].(float64); ms < 1.7e12 || ms > 1.9e12 {
			t.Errorf("time %v is not in milliseconds", ms)
		}
		closed := v["activity_id"] == 3.0
		if closed != (v["status"] == "Closed") || closed == v["is_alert"].(bool) {
			t.Errorf("activity %v with status %v and is_alert %v", v["activity_id"], v["status"], v["is_alert"])
		}
	}
}

// lookup finds a value by its path; in a list, the first.
func lookup(v any, path []string) any {
	if len(path) == 0 {
		return v
	}
	switch v := v.(type) {
	case map[string]any:
		return lookup(v[path[0]], path[1:])
	case []any:
		if len(v) > 0 {
			return lookup(v[0], path[1:])
		}
	}
	return nil
}

// TestAlertsStaySmall: the largest finding there can be fits a Kafka message many times.
func TestAlertsStaySmall(t *testing.T) {
	l := timeline{}
	for p := range 80 {
		for i := range 30 {
			id := uint64(p*30 + i)
			l.add(0, call(id+1, time.Duration(id)*10*time.Millisecond, "2001:db8:1:2:3:4:5:6",
				fmt.Sprintf("2001:db8:aaaa:%x:bbbb:cccc:dddd:%x", 0x1000+p, 0x1000+i), 8000, unanswered))
		}
	}
	for _, f := range lastOf(playOut(t, Default(), l)) {
		text, _ := json.Marshal(f.detectionFinding)
		if len(text) > 64<<10 {
			t.Errorf("a finding takes %d bytes, want at most 64 KiB", len(text))
		}
	}
}

// TestSameEpisodeSameName: the name depends on rule, subject and start alone.
func TestSameEpisodeSameName(t *testing.T) {
	a, b := someAlerts(t), someAlerts(t)
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			t.Errorf("two runs differ:\n%s\n%s", a[i], b[i])
		}
	}
	x := newUID("r", subject{realm: 1}, target{}, 5)
	for _, y := range []string{newUID("q", subject{realm: 1}, target{}, 5), newUID("r", subject{realm: 2}, target{}, 5),
		newUID("r", subject{realm: 1}, target{port: 1}, 5), newUID("r", subject{realm: 1}, target{}, 6)} {
		if x == y {
			t.Error("two findings share a name")
		}
	}
}

func TestHuntQueryNamesTheEvidence(t *testing.T) {
	var f finding
	if err := json.Unmarshal(someAlerts(t)[0], &f.detectionFinding); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"FROM ledger.biflows FINAL", "realm = 0", "client_addr = toIPv6('198.51.100.9')", "server_addr = toIPv6('10.0.0.5')"} {
		if !strings.Contains(f.Unmapped.HuntSQL, want) {
			t.Errorf("%q is missing in %s", want, f.Unmapped.HuntSQL)
		}
	}
}
