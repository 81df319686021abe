package rule

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"

	"github.com/flowledger/flowledger/services/internal/eventtime"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// ruleID numbers the rules; snapshots hold the numbers.
type ruleID uint8

const (
	addressScanID ruleID = iota
	portScanID
	prohibitedServiceID
	ruleCount
)

// Why an episode was closed.
const (
	closedQuiet      = "quiet"
	closedTakenBack  = "taken_back"
	closedEndOfInput = "end_of_input"
	closedEvicted    = "evicted"
)

// maxScopes bounds the scopes that an episode lists.
const maxScopes = 64

// maxEvidences bounds the targets that a finding shows (the rest by query).
const maxEvidences = 20

// episode is one open finding of a client.
type episode struct {
	rule   ruleID
	uid    string
	tier   string
	need   int // failed targets without which the finding is taken back; 0 if it cannot be
	trust  int // confidence of its tier, percent
	scopes []scope

	first, last uint64 // event time of its flows, ns
	// targets is exact up to maxExact; then all and ok estimate, and targets
	// keeps those that are shown.
	targets contacts
	all, ok *distinct
	// testified is the number of targets whose failure has not been taken back.
	testified int
	flows     uint64
	unsure    uint64 // of flows
	sampling  uint64 // largest rate
	quality   flowv1.TimeQuality
	severity  Severity

	opened, active, told eventtime.Tick
	// announced: a finding went out; emissions counts how many times.
	announced bool
	emissions uint64
	toldCount int
	toldLevel Severity
}

// newUID derives a finding's name from what it is about, so that a replay
// gives the same.
func newUID(rule string, s subject, about target, start uint64) string {
	b := append([]byte(rule), 0)
	b = binary.BigEndian.AppendUint32(b, s.realm)
	b = append(b, s.addr[:]...)
	b = append(b, about.addr[:]...)
	b = binary.BigEndian.AppendUint16(b, about.port)
	b = append(b, about.proto)
	b = binary.BigEndian.AppendUint64(b, start)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// put adds or updates a target. fresh tells that it is new to the episode, moved
// that a new flow went to it.
func (e *episode) put(k *contact) (fresh, moved bool) {
	if e.all != nil {
		return false, e.estimate(k)
	}
	i := e.targets.find(k.target)
	switch {
	case i >= 0:
		return false, e.update(&e.targets.list[i], k)
	case k.outcome == neither:
		return false, false
	case len(e.targets.list) >= maxExact:
		e.overflow()
		return true, e.estimate(k)
	}
	e.targets.add(*k)
	e.countFlow(k)
	if k.outcome == failed {
		e.testified++
	}
	return true, true
}

// update judges a known target anew. A later version of its flow replaces what
// was said; another flow is news only until the target has answered once.
func (e *episode) update(old, k *contact) (moved bool) {
	if old.flow == k.flow {
		if k.version >= old.version {
			e.testify(old.outcome, k.outcome)
			old.version, old.outcome, old.state = k.version, k.outcome, k.state
		}
		return false
	}
	if k.outcome == neither {
		return false
	}
	e.countFlow(k)
	if old.outcome != answered {
		if old.outcome == neither {
			e.testify(neither, k.outcome)
		}
		*old = *k
	}
	return true
}

// testify keeps the count of failures when a target's outcome changes.
func (e *episode) testify(before, after outcome) {
	if before == failed {
		e.testified--
	}
	if after == failed {
		e.testified++
	}
}

// takenBack tells that too few failures are left for the finding to stand.
func (e *episode) takenBack() bool {
	return e.need > 0 && e.all == nil && e.testified < e.need
}

// countFlow counts a flow that was not known to the episode.
func (e *episode) countFlow(k *contact) {
	e.flows++
	e.last = max(e.last, k.start)
	if e.first == 0 || k.start < e.first {
		e.first = k.start
	}
	if k.unsure {
		e.unsure++
	}
}

// overflow goes over from telling targets apart to estimating their number.
func (e *episode) overflow() {
	e.all, e.ok = new(distinct), new(distinct)
	for i := range e.targets.list {
		e.estimateTarget(&e.targets.list[i])
	}
	e.targets.list = slices.Clone(e.targets.list[:maxEvidences])
	e.targets.reindex()
}

// estimate takes a flow's first version; later ones cannot be told from others.
func (e *episode) estimate(k *contact) (moved bool) {
	if k.version > 1 || k.outcome == neither {
		return false
	}
	e.countFlow(k)
	e.estimateTarget(k)
	return true
}

func (e *episode) estimateTarget(k *contact) {
	if k.outcome == neither {
		return
	}
	t := e.targets.key(k.target)
	e.all.add(t)
	if k.isOpen() {
		e.ok.add(t)
	}
}

// counts is the number of distinct targets: those that failed, those that
// answered (with a SYN|ACK at least), all. Beyond maxExact they are estimates.
func (e *episode) counts() (bad, good, all int) {
	if e.all != nil {
		all = max(e.all.count(), maxExact)
		good = min(e.ok.count(), all)
		return all - good, good, all
	}
	for i := range e.targets.list {
		switch k := &e.targets.list[i]; {
		case k.isOpen():
			good++
		case k.outcome == failed:
			bad++
		}
	}
	return bad, good, bad + good
}

// addScope lists a window, once.
func (e *episode) addScope(w *window) {
	if len(e.scopes) < maxScopes && !slices.Contains(e.scopes, w.scope) {
		e.scopes = append(e.scopes, w.scope)
	}
}

// note keeps the quality of what the finding rests on.
func (e *episode) note(sampling uint64, quality flowv1.TimeQuality) {
	e.sampling, e.quality = max(e.sampling, sampling), max(e.quality, quality)
}

// confidence is the percentage that the finding is what it says: that of its
// tier, more where three times as many targets failed as were needed, less up to
// 40 for flows whose client is a guess, less a third where packets were sampled.
func (e *episode) confidence() int {
	c := e.trust
	if bad, _, _ := e.counts(); e.need > 0 && bad >= 3*e.need {
		c = max(c, 95)
	}
	if e.flows > 0 {
		c -= int(40 * e.unsure / e.flows)
	}
	if e.sampling > 1 {
		c -= c / 3
	}
	return max(c, 10)
}

// grown tells that the count has doubled since it was last told.
func (e *episode) grown(all int) bool { return all > 0 && all >= 2*e.toldCount }
