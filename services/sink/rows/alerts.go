package rows

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// Alerts builds table alerts from topic alerts: one row per OCSF Detection
// Finding, the whole JSON beside the columns that people ask by. Of several
// states of one finding between two Takes only the last is kept.
type Alerts struct {
	table table[*alert]
	rows  map[string]*alert
	order []*alert
	taken bool
}

// alert is what the ledger reads of a finding (OCSF class 2004).
type alert struct {
	ActivityID      int    `json:"activity_id"`
	Time            int64  `json:"time"`
	StartTime       int64  `json:"start_time"`
	EndTime         int64  `json:"end_time"`
	SeverityID      uint8  `json:"severity_id"`
	StatusID        int    `json:"status_id"`
	ConfidenceScore uint8  `json:"confidence_score"`
	Message         string `json:"message"`
	FindingInfo     struct {
		UID                string `json:"uid"`
		Title              string `json:"title"`
		FirstSeenTime      int64  `json:"first_seen_time"`
		LastSeenTime       int64  `json:"last_seen_time"`
		RelatedEventsCount uint64 `json:"related_events_count"`
		Analytic           struct {
			UID string `json:"uid"`
		} `json:"analytic"`
		Attacks []struct {
			Technique struct {
				UID string `json:"uid"`
			} `json:"technique"`
			SubTechnique struct {
				UID string `json:"uid"`
			} `json:"sub_technique"`
		} `json:"attacks"`
	} `json:"finding_info"`

	host    [16]byte
	finding string
}

// NewAlerts makes an empty builder.
func NewAlerts() *Alerts {
	return &Alerts{table: table[*alert]{name: "alerts", fields: alertFields()}, rows: make(map[string]*alert)}
}

// Append implements Builder. The key is the accused host.
func (a *Alerts) Append(key, value []byte) (int, error) {
	if a.taken {
		a.table.reset()
		clear(a.rows)
		a.order = a.order[:0]
		a.taken = false
	}
	if len(value) == 0 {
		return 0, nil
	}
	next := new(alert)
	if err := json.Unmarshal(value, next); err != nil {
		return 0, fmt.Errorf("cannot read an alert: %w", err)
	}
	uid := next.FindingInfo.UID
	if uid == "" {
		return 0, errors.New("cannot read an alert: it has no finding_info.uid")
	}
	next.host, next.finding = hostOf(key), string(value)
	last, seen := a.rows[uid]
	switch {
	case !seen:
		a.rows[uid] = next
		a.order = append(a.order, next)
	case next.version() >= last.version():
		*last = *next
	}
	return 1, nil
}

// Rows implements Builder.
func (a *Alerts) Rows() int {
	if a.taken {
		return 0
	}
	return len(a.order)
}

// Take implements Builder.
func (a *Alerts) Take() []Block {
	if a.Rows() == 0 {
		return nil
	}
	a.taken = true
	for row, al := range a.order {
		a.table.put(row, al)
	}
	return []Block{a.table.block()}
}

// hostOf reads the key of an alert: an address as text, or its 4 or 16 bytes.
func hostOf(key []byte) [16]byte {
	if ip, err := netip.ParseAddr(string(key)); err == nil {
		return ip.WithZone("").As16()
	}
	return flow.AddrFrom(key)
}

// version orders the states of a finding: by time, at the same time by
// activity (create, update, close).
func (a *alert) version() uint64 { return uint64(max(a.Time, 0))*4 + uint64(a.activity()&3) }

// activity is OCSF's activity_id of a finding: 1 create, 2 update, 3 close.
func (a *alert) activity() int8 {
	switch a.ActivityID {
	case 0, 1, 2, 3:
		return int8(a.ActivityID)
	}
	return 99
}

// findingStates are OCSF's status_id of findings.
var findingStates = map[int]string{0: "unknown", 1: "new", 2: "in progress", 3: "suppressed", 4: "resolved", 5: "archived", 6: "deleted"}

func (a *alert) status() string {
	if s, ok := findingStates[a.StatusID]; ok {
		return s
	}
	return "other"
}

func (a *alert) techniques(dst []string) []string {
	for _, at := range a.FindingInfo.Attacks {
		uid := at.SubTechnique.UID
		if uid == "" {
			uid = at.Technique.UID
		}
		if uid = strings.TrimSpace(uid); uid != "" {
			dst = append(dst, uid)
		}
	}
	return dst
}

// fromMillis is a time of OCSF, of which several say the same: the first that is set.
func fromMillis(times ...int64) Time {
	for _, ms := range times {
		if ms > 0 {
			return timeOf(min(uint64(ms), latest/1e6) * 1e6)
		}
	}
	return 0
}

func alertFields() []field[*alert] {
	return []field[*alert]{
		key("uid", func(a *alert) string { return a.FindingInfo.UID }),
		col("version", (*alert).version),
		col("time", func(a *alert) Time { return fromMillis(a.Time) }),
		col("time_first", func(a *alert) Time { return fromMillis(a.FindingInfo.FirstSeenTime, a.StartTime, a.Time) }),
		col("time_last", func(a *alert) Time { return fromMillis(a.FindingInfo.LastSeenTime, a.EndTime, a.Time) }),
		col("activity", (*alert).activity),
		col("status", (*alert).status),
		col("host", func(a *alert) [16]byte { return a.host }),
		col("rule", func(a *alert) string { return a.FindingInfo.Analytic.UID }),
		col("title", func(a *alert) string { return a.FindingInfo.Title }),
		col("message", func(a *alert) string { return a.Message }),
		col("severity_id", func(a *alert) uint8 { return a.SeverityID }),
		col("confidence_score", func(a *alert) uint8 { return a.ConfidenceScore }),
		list("techniques", func(dst []string, a *alert) []string { return a.techniques(dst) }),
		col("related_events_count", func(a *alert) uint32 { return uint32(min(a.FindingInfo.RelatedEventsCount, math.MaxUint32)) }),
		col("finding", func(a *alert) string { return a.finding }),
	}
}
