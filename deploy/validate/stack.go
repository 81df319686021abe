package validate

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// stateDir is the folder of the image that is the programs' own.
const stateDir = "/var/lib/flowledger"

// Stack holds what runs together on one machine against itself: who is restricted,
// who waits for whom, and whether names and ports lead to somebody.
func Stack(project *types.Project, effective map[string]*Effective) (problems []error) {
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	for _, name := range project.ServiceNames() {
		s := project.Services[name]
		if err := pinned(s.Image); err != nil {
			wrong("service %s: %w", name, err)
		}
		if s.Privileged || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			wrong("service %s can gain privileges", name)
		}
		if !ours(&s) {
			if s.HealthCheck == nil {
				wrong("service %s: nobody asks for its health", name)
			}
			continue
		}
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.CapAdd) > 0 {
			wrong("service %s must have a read-only root and no capabilities", name)
		}
		if user, _, _ := strings.Cut(s.User, ":"); user == "" || user == "0" || user == "root" {
			wrong("service %s runs as root", name)
		}
		for _, v := range s.Volumes {
			if v.Target != stateDir {
				wrong("service %s: the volume at %s would be root's; the image has %s", name, v.Target, stateDir)
			}
		}
		problems = append(problems, order(&s, effective["service "+name])...)
		problems = append(problems, reach(project, name, effective["service "+name])...)
	}
	return problems
}

// order finds services that do not wait for what they need.
func order(s *types.ServiceConfig, e *Effective) (problems []error) {
	if e == nil {
		return nil // it was refused already
	}
	needs := map[string]string{}
	switch s.Name {
	case "topics":
		needs["kafka"] = types.ServiceConditionHealthy
	case "migrate":
		needs["clickhouse"] = types.ServiceConditionHealthy
	default:
		needs["topics"] = types.ServiceConditionCompletedSuccessfully
		if e.usesLedger {
			needs["migrate"] = types.ServiceConditionCompletedSuccessfully
		}
	}
	for name, condition := range needs {
		if s.DependsOn[name].Condition != condition {
			problems = append(problems, fmt.Errorf("service %s must wait for %s: %s", s.Name, name, condition))
		}
	}
	return problems
}

// reach finds addresses of Kafka and ClickHouse that nobody in the stack has.
func reach(project *types.Project, name string, e *Effective) (problems []error) {
	if e == nil {
		return nil
	}
	if e.usesKafka {
		advertised := environment(project, "kafka", "KAFKA_ADVERTISED_LISTENERS")
		for _, broker := range e.Kafka.Brokers {
			if !slices.ContainsFunc(strings.Split(advertised, ","), func(l string) bool { return strings.HasSuffix(l, "://"+broker) }) {
				problems = append(problems, fmt.Errorf("service %s: Kafka does not call itself %s but %s", name, broker, advertised))
			}
		}
	}
	if e.usesLedger {
		for _, addr := range e.ClickHouse.Addr {
			host, port, _ := net.SplitHostPort(addr)
			target, ok := project.Services[host]
			if !ok || !slices.ContainsFunc(target.Ports, func(p types.ServicePortConfig) bool { return fmt.Sprint(p.Target) == port }) {
				problems = append(problems, fmt.Errorf("service %s: nobody listens at %s", name, addr))
			}
		}
		if user := environment(project, "clickhouse", "CLICKHOUSE_USER"); e.ClickHouse.User != user {
			problems = append(problems, fmt.Errorf("service %s logs in as %s; ClickHouse knows %s", name, e.ClickHouse.User, user))
		}
	}
	return problems
}

func environment(project *types.Project, service, name string) string {
	if v := project.Services[service].Environment[name]; v != nil {
		return *v
	}
	return ""
}
