package validate

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Process is one container as a deployment runs it.
type Process struct {
	// Where names it in problems.
	Where string
	// Binary is the program in its image: ingest, dedup, … or flowctl.
	Binary string
	Args   []string
	Env    map[string]string
	// Files are those mounted into it, by path; SecretDirs are folders of files
	// whose names and contents only the cluster knows.
	Files      map[string]string
	SecretDirs []string
	// Storage are the folders that it may write to, each with its room in bytes; 0 is
	// as much as the machine has.
	Storage map[string]int64
	// UDP and TCP are the ports that it is said to listen on.
	UDP, TCP []int
	// World are those TCP ports that can be reached from outside the machine, where
	// that is not what a cluster's Services decide.
	World []int
	// Probes are the health checks over HTTP.
	Probes []Probe
	// Grace is how long it may take to stop.
	Grace time.Duration
	// Job tells that it is to end by itself.
	Job bool
}

// Probe is one health check over HTTP.
type Probe struct {
	Port int
	Path string
}

// config is the file that --config names, if any.
func (p *Process) config() string {
	for i, arg := range p.Args {
		if arg == "--config" && i+1 < len(p.Args) {
			return p.Args[i+1]
		}
	}
	return p.Env["FLOWLEDGER_CONFIG"]
}

// problem is something wrong with a process.
func (p *Process) problem(format string, args ...any) error {
	return fmt.Errorf("%s: %w", p.Where, fmt.Errorf(format, args...))
}

// agree finds keys on which all processes of a deployment must say the same, and
// do not: who reads another topic, or other partitions, reads nothing.
func agree(effective map[string]*Effective) (problems []error) {
	said := map[string]map[string][]string{} // key → value → who
	note := func(key, value, who string) {
		if said[key] == nil {
			said[key] = map[string][]string{}
		}
		said[key][value] = append(said[key][value], who)
	}
	for _, who := range slices.Sorted(maps.Keys(effective)) {
		e := effective[who]
		if e.usesKafka {
			note("kafka.brokers", fmt.Sprint(e.Kafka.Brokers), who)
			note("kafka.topic_prefix", e.Kafka.TopicPrefix, who)
			note("kafka.group", e.Kafka.Group, who)
			note("kafka.partitions", fmt.Sprint(e.Kafka.Partitions), who)
		}
		if e.usesLedger {
			note("clickhouse.addr", fmt.Sprint(e.ClickHouse.Addr), who)
			note("clickhouse.database", e.ClickHouse.Database, who)
			note("clickhouse.user", e.ClickHouse.User, who)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(said)) {
		if len(said[key]) > 1 {
			problems = append(problems, fmt.Errorf("%s differs: %v", key, said[key]))
		}
	}
	return problems
}
