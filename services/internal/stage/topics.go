package stage

import "slices"

// Class says by what a topic is partitioned; topics of one class have the same
// number of partitions.
type Class string

// The classes of topics.
const (
	ByConversation Class = "conversations"
	ByHost         Class = "hosts"
	ByExporter     Class = "exporters"
	Single         Class = "single" // one partition, always
)

// Names of topics, without the prefix.
const (
	FlowsRaw     = "flows.raw"
	FlowsDeduped = "flows.deduped"
	Biflows      = "biflows"
	Activity     = "activity"
	Alerts       = "alerts"
	Events       = "events"
	DNS          = "dns"
	FlowsDead    = "flows.dead"
	Exporters    = "exporters"
	Policy       = "policy"
)

// StateTopic is the topic that holds the snapshots of a stage.
func StateTopic(stage string) string { return "state." + stage }

// Topic is one entry of the catalogue.
type Topic struct {
	Name  string
	Class Class
	// Plain tells that a message is one record as it is (JSON, raw bytes), not a
	// batch of length-delimited records.
	Plain bool
	// Config is what the broker is told at creation.
	Config map[string]string
}

// Retention in the broker's terms (milliseconds, bytes).
const (
	oneDay    = "86400000"
	threeDays = "259200000"
	oneWeek   = "604800000"
	oneMonth  = "2592000000"
	forever   = "-1"
	// stateBytes bounds a partition of snapshots. The newest snapshot must never
	// expire, however long a stage is down: bounded by size, not by age.
	stateBytes = "2147483648"
)

// Catalogue lists all topics. None is compacted: readers count on offsets
// without gaps.
func Catalogue() []Topic {
	topics := []Topic{
		{Name: FlowsRaw, Class: ByConversation, Config: keep(oneDay)},
		{Name: FlowsDeduped, Class: ByConversation, Config: keep(oneDay)},
		{Name: Biflows, Class: ByHost, Config: keep(threeDays)},
		{Name: Activity, Class: ByHost, Config: keep(oneMonth)},
		{Name: Alerts, Class: ByHost, Plain: true, Config: keep(oneMonth)},
		{Name: Events, Class: ByExporter, Config: keep(threeDays)},
		{Name: DNS, Class: ByExporter, Config: keep(threeDays)},
		{Name: FlowsDead, Class: ByExporter, Plain: true, Config: keep(oneWeek)},
		{Name: Exporters, Class: ByExporter, Config: keep(oneDay)},
		{Name: Policy, Class: Single, Config: keep(forever)},
	}
	for _, s := range []struct {
		stage string
		class Class
	}{{"dedup", ByConversation}, {"stitch", ByConversation}, {"detect", ByHost}} {
		topics = append(topics, Topic{Name: StateTopic(s.stage), Class: s.class, Plain: true, Config: keepBytes(stateBytes)})
	}
	return topics
}

// TopicNamed finds an entry of the catalogue.
func TopicNamed(name string) (Topic, bool) {
	all := Catalogue()
	i := slices.IndexFunc(all, func(t Topic) bool { return t.Name == name })
	if i < 0 {
		return Topic{}, false
	}
	return all[i], true
}

// keep is the configuration of a topic that lives for a time. LogAppendTime makes
// the broker's clock the one that retention goes by, and by which ingest steers.
func keep(ms string) map[string]string {
	return map[string]string{
		"cleanup.policy":         "delete",
		"message.timestamp.type": "LogAppendTime",
		"retention.ms":           ms,
	}
}

func keepBytes(bytes string) map[string]string {
	c := keep(forever)
	c["retention.bytes"] = bytes
	c["segment.bytes"] = "134217728"
	return c
}
