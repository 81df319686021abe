package rule

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// The types below are OCSF 1.5.0's Detection Finding (class 2004), as far as it
// is filled in. Times are milliseconds since the epoch.
// Source: ocsf-schema, events/findings/detection_finding.json and its objects.

type detectionFinding struct {
	ActivityID      int          `json:"activity_id"`
	ActivityName    string       `json:"activity_name"`
	CategoryUID     int          `json:"category_uid"`
	CategoryName    string       `json:"category_name"`
	ClassUID        int          `json:"class_uid"`
	ClassName       string       `json:"class_name"`
	TypeUID         int          `json:"type_uid"`
	SeverityID      int          `json:"severity_id"`
	Severity        string       `json:"severity"`
	StatusID        int          `json:"status_id"`
	Status          string       `json:"status"`
	IsAlert         bool         `json:"is_alert"`
	ConfidenceID    int          `json:"confidence_id"`
	Confidence      string       `json:"confidence"`
	ConfidenceScore int          `json:"confidence_score"`
	Time            uint64       `json:"time"`
	StartTime       uint64       `json:"start_time"`
	EndTime         uint64       `json:"end_time"`
	Count           int          `json:"count"`
	Message         string       `json:"message"`
	Metadata        metadata     `json:"metadata"`
	FindingInfo     findingInfo  `json:"finding_info"`
	Observables     []observable `json:"observables"`
	Evidences       []evidence   `json:"evidences"`
	Unmapped        unmapped     `json:"unmapped"`
}

type metadata struct {
	Version   string  `json:"version"`
	UID       string  `json:"uid"`
	TenantUID string  `json:"tenant_uid"`
	Product   product `json:"product"`
}

type product struct {
	Name       string `json:"name"`
	VendorName string `json:"vendor_name"`
}

type findingInfo struct {
	UID           string       `json:"uid"`
	Title         string       `json:"title"`
	Types         []string     `json:"types"`
	CreatedTime   uint64       `json:"created_time"`
	ModifiedTime  uint64       `json:"modified_time"`
	FirstSeenTime uint64       `json:"first_seen_time"`
	LastSeenTime  uint64       `json:"last_seen_time"`
	RelatedEvents uint64       `json:"related_events_count"`
	Analytic      analytic     `json:"analytic"`
	Attacks       []ocsfAttack `json:"attacks"`
}

type analytic struct {
	TypeID  int    `json:"type_id"`
	Type    string `json:"type"`
	UID     string `json:"uid"`
	Name    string `json:"name"`
	Version string `json:"version"`
}

type named struct {
	Name string `json:"name"`
	UID  string `json:"uid"`
}

type ocsfAttack struct {
	Tactic       named  `json:"tactic"`
	Technique    named  `json:"technique"`
	SubTechnique *named `json:"sub_technique,omitempty"`
}

type observable struct {
	Name   string `json:"name"`
	TypeID int    `json:"type_id"`
	Type   string `json:"type"`
	Value  string `json:"value"`
}

type evidence struct {
	Src        endpoint     `json:"src_endpoint"`
	Dst        endpoint     `json:"dst_endpoint"`
	Connection connection   `json:"connection_info"`
	Data       evidenceData `json:"data"`
}

type endpoint struct {
	IP   string `json:"ip"`
	Port uint16 `json:"port,omitempty"`
}

type connection struct {
	ProtocolNum  uint8  `json:"protocol_num"`
	ProtocolName string `json:"protocol_name"`
	DirectionID  int    `json:"direction_id"`
	Direction    string `json:"direction"`
}

type evidenceData struct {
	FlowIDs   []string `json:"flow_ids"`
	ConnState string   `json:"conn_state"`
	Start     string   `json:"time_flow_start"`
}

// unmapped is what OCSF has no place for, under the ledger's own names.
type unmapped struct {
	Realm        uint32 `json:"realm"`
	Threshold    string `json:"threshold"`
	Targets      int    `json:"targets"`
	Failed       int    `json:"failed"`
	Answered     int    `json:"answered"`
	Estimated    bool   `json:"estimated"`
	UnsureFlows  uint64 `json:"flows_with_unsure_direction"`
	SamplingRate uint64 `json:"sampling_rate"`
	TimeQuality  string `json:"time_quality"`
	CloseReason  string `json:"close_reason,omitempty"`
	HuntSQL      string `json:"hunt_sql"`
}

// OCSF constants.
const (
	schemaVersion     = "1.5.0"
	findingsCategory  = 2
	detectionClass    = 2004
	statusNew         = 1
	statusOther       = 99 // closed by the rule itself: no one has resolved it
	analyticRule      = 1
	observableAddress = 2
)

var activityWords = [...]string{activityCreate: "Create", activityUpdate: "Update", activityClose: "Close"}

// finding writes the JSON of one message about an episode.
func (s *Set) finding(c *client, e *episode, activity int, reason string) []byte {
	r := s.rules[e.rule]
	d := r.describe(s, c, e)
	bad, good, all := e.counts()
	f := detectionFinding{
		ActivityID: activity, ActivityName: activityWords[activity],
		CategoryUID: findingsCategory, CategoryName: "Findings",
		ClassUID: detectionClass, ClassName: "Detection Finding", TypeUID: detectionClass*100 + activity,
		SeverityID: int(e.severity), Severity: capital(e.severity.String()),
		StatusID: statusNew, Status: "New", IsAlert: activity != activityClose,
		Time: ms(s.now.Ns()), StartTime: ms(e.first), EndTime: ms(e.last),
		Count: all, Message: d.message,
		Metadata: metadata{Version: schemaVersion, UID: e.uid + "-" + strconv.FormatUint(e.emissions, 10),
			TenantUID: "realm-" + strconv.FormatUint(uint64(c.subject.realm), 10),
			Product:   product{Name: "Flowledger", VendorName: "Flowledger"}},
		FindingInfo: e.info(s, r.info(), &d),
		Evidences:   e.evidences(s, c),
		Unmapped: unmapped{Realm: c.subject.realm, Threshold: e.tier, Targets: all, Failed: bad, Answered: good,
			Estimated: e.all != nil, UnsureFlows: e.unsure, SamplingRate: e.sampling,
			TimeQuality: enumWord(e.quality.String(), "TIME_QUALITY_"), CloseReason: reason, HuntSQL: e.huntSQL(c, d.where)},
	}
	if activity == activityClose {
		f.StatusID, f.Status = statusOther, "Closed"
	}
	f.ConfidenceScore = e.confidence()
	f.ConfidenceID, f.Confidence = confidenceLevel(f.ConfidenceScore)
	f.Observables = observables(f.Evidences)
	return s.marshal(&f)
}

// marshal is json.Marshal without HTML escapes: queries stay readable.
func (s *Set) marshal(f *detectionFinding) []byte {
	s.json.Reset()
	enc := json.NewEncoder(&s.json)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(f); err != nil {
		panic("BUG: cannot write a finding as JSON: " + err.Error())
	}
	return slices.Clone(s.json.Bytes()[:s.json.Len()-1])
}

func (e *episode) info(s *Set, info *Info, d *description) findingInfo {
	f := findingInfo{
		UID: e.uid, Title: d.title, Types: []string{info.Name},
		CreatedTime: ms(e.opened.Ns()), ModifiedTime: ms(s.now.Ns()),
		FirstSeenTime: ms(e.first), LastSeenTime: ms(e.last), RelatedEvents: e.flows,
		Analytic: analytic{TypeID: analyticRule, Type: "Rule", UID: info.Name, Name: info.Title, Version: info.Version},
	}
	for _, a := range d.attacks {
		o := ocsfAttack{Tactic: named{a.Tactic, a.TacticID}, Technique: named{a.Technique, a.TechniqueID}}
		if a.SubTechniqueID != "" {
			o.SubTechnique = &named{a.SubTechnique, a.SubTechniqueID}
		}
		f.Attacks = append(f.Attacks, o)
	}
	return f
}

// evidences shows the first targets, those that answered before the others: the
// doors that are open matter most.
func (e *episode) evidences(s *Set, c *client) []evidence {
	out := make([]evidence, 0, maxEvidences)
	for _, open := range [...]bool{true, false} {
		for i := range e.targets.list {
			if k := &e.targets.list[i]; k.outcome != neither && k.isOpen() == open && len(out) < maxEvidences {
				out = append(out, s.evidence(c, k))
			}
		}
	}
	return out
}

func (s *Set) evidence(c *client, k *contact) evidence {
	id, word := direction(c.internal, s.isInternal(&k.target.addr))
	return evidence{
		Src:        endpoint{IP: c.subject.addr.Netip().String()},
		Dst:        endpoint{IP: k.target.addr.Netip().String(), Port: k.target.port},
		Connection: connection{ProtocolNum: k.target.proto, ProtocolName: protoWord(k.target.proto), DirectionID: id, Direction: word},
		Data: evidenceData{FlowIDs: []string{strconv.FormatUint(k.flow, 10)},
			ConnState: enumWord(flowv1.ConnState(k.state).String(), "CONN_STATE_"),
			Start:     time.Unix(0, int64(k.start)).UTC().Format("2006-01-02T15:04:05.000000000Z07:00")},
	}
}

// direction is OCSF's direction_id of a connection, seen from our networks.
func direction(clientInternal, serverInternal bool) (id int, word string) {
	switch {
	case clientInternal && serverInternal:
		return 3, "Lateral"
	case clientInternal:
		return 2, "Outbound"
	case serverInternal:
		return 1, "Inbound"
	}
	return 0, "Unknown"
}

// observables lists the addresses of the evidence, each once.
func observables(list []evidence) []observable {
	out := make([]observable, 0, len(list)+1)
	add := func(name, ip string) {
		o := observable{Name: name, TypeID: observableAddress, Type: "IP Address", Value: ip}
		if !slices.Contains(out, o) {
			out = append(out, o)
		}
	}
	for i := range list {
		add("evidences[].src_endpoint.ip", list[i].Src.IP)
	}
	for i := range list {
		add("evidences[].dst_endpoint.ip", list[i].Dst.IP)
	}
	return out
}

// confidenceLevel is OCSF's confidence_id for a percentage.
func confidenceLevel(score int) (id int, word string) {
	switch {
	case score >= 75:
		return 3, "High"
	case score >= 40:
		return 2, "Medium"
	}
	return 1, "Low"
}

// ms is OCSF's timestamp of a time in nanoseconds.
func ms(ns uint64) uint64 { return ns / uint64(time.Millisecond) }

// enumWord is an enum's name as the ledger writes it.
func enumWord(name, prefix string) string { return strings.ToLower(strings.TrimPrefix(name, prefix)) }

func capital(word string) string { return strings.ToUpper(word[:1]) + word[1:] }
