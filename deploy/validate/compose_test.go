package validate

import (
	"slices"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

// judgeCompose finds all that is wrong with a project.
func judgeCompose(t *testing.T, project *types.Project) (processes []*Process, problems []error) {
	t.Helper()
	processes, problems = ComposeProcesses(project)
	effective := map[string]*Effective{}
	for _, p := range processes {
		if e, err := programs(t).Effective(p); err == nil {
			effective[p.Where] = e
		}
		if !p.Job {
			if err := programs(t).HealthCommand(p); err != nil {
				problems = append(problems, err)
			}
		}
	}
	problems = append(problems, Stack(project, effective)...)
	return processes, append(problems, programs(t).Judge(processes)...)
}

func TestCompose(t *testing.T) {
	project, err := LoadCompose()
	if err != nil {
		t.Fatal(err)
	}
	processes, problems := judgeCompose(t, project)
	report(t, problems)
	want := append(slices.Clone(Services), "flowctl")
	slices.Sort(want)
	if got := binaries(processes); !slices.Equal(got, want) {
		t.Errorf("runs %v, want %v", got, want)
	}
}

// What is wrong in the file must be noticed: each case breaks one thing.
func TestBrokenComposeIsNoticed(t *testing.T) {
	for name, tc := range map[string]struct {
		service string
		spoil   func(s *types.ServiceConfig)
		want    string
	}{
		"misspelt variable": {"dedup", func(s *types.ServiceConfig) { s.Environment["FLOWLEDGER_KAFKA_BROKER"] = ptr("k:1") }, "FLOWLEDGER_KAFKA_BROKER"},
		"misspelt variable of a job": {"topics", func(s *types.ServiceConfig) {
			s.Environment["FLOWLEDGER_KAFKA_BROKER"] = ptr("k:1")
		}, "FLOWLEDGER_KAFKA_BROKER names no key"},
		"other broker":     {"stitch", func(s *types.ServiceConfig) { s.Environment["FLOWLEDGER_KAFKA_BROKERS"] = ptr("kafka:9092") }, "Kafka does not call itself kafka:9092"},
		"other partitions": {"stitch", func(s *types.ServiceConfig) { s.Environment["FLOWLEDGER_KAFKA_PARTITIONS_HOSTS"] = ptr("8") }, "kafka.partitions differs"},
		"other ledger":     {"migrate", func(s *types.ServiceConfig) { s.Environment["FLOWLEDGER_CLICKHOUSE_ADDR"] = ptr("clickhouse:9000") }, "nobody listens at clickhouse:9000"},
		"port of a stream": {"ingest", func(s *types.ServiceConfig) {
			s.Environment["FLOWLEDGER_LISTEN"] = ptr(":2055,:4739,:6343,tcp://:4739")
		}, "its ports are [8081]; it listens on TCP [4739]"},
		"port to the world": {"ingest", func(s *types.ServiceConfig) { s.Ports[3].HostIP = "" }, "port 8081 is published to the world"},
		"port of ingest":    {"ingest", func(s *types.ServiceConfig) { s.Ports[0].Target, s.Ports[0].Published = 9995, "9995" }, "it listens on UDP [2055 4739 6343]"},
		"port of health":    {"sink", func(s *types.ServiceConfig) { s.Ports[0].Target, s.Ports[0].Published = 8084, "8084" }, "it serves HTTP at 8085, its ports are [8084]"},
		"health check":      {"sink", func(s *types.ServiceConfig) { s.HealthCheck.Test = []string{"CMD", "curl", "localhost"} }, "its health check is"},
		"no file":           {"sink", func(s *types.ServiceConfig) { s.Configs[0].Target = "/etc/other.yaml" }, "/etc/flowledger/sink.yaml is not mounted"},
		"no password":       {"migrate", func(s *types.ServiceConfig) { s.Secrets = nil }, "clickhouse.password_file /run/secrets/ledger_password is not mounted"},
		"another's config":  {"stitch", func(s *types.ServiceConfig) { s.Configs[0].Source = "dedup" }, "dedup: unknown key"},
		"another's image":   {"stitch", func(s *types.ServiceConfig) { s.Build.Args["SERVICE"] = ptr("dedup") }, "holds another program"},
		"patience":          {"detect", func(s *types.ServiceConfig) { s.StopGracePeriod = nil }, "killed after 10s and may take 25s"},
		"waits for nobody":  {"sink", func(s *types.ServiceConfig) { delete(s.DependsOn, "migrate") }, "service sink must wait for migrate"},
		"latest":            {"kafka", func(s *types.ServiceConfig) { s.Image = "apache/kafka" }, "must have a tag other than latest"},
		"capabilities":      {"ingest", func(s *types.ServiceConfig) { s.CapDrop = nil }, "no capabilities"},
		"root":              {"ingest", func(s *types.ServiceConfig) { s.User = "0:0" }, "runs as root"},
		"no volume":         {"ingest", func(s *types.ServiceConfig) { s.Volumes = nil }, "spool.dir /var/lib/flowledger/spool is in no volume"},
		"nameless volume":   {"ingest", func(s *types.ServiceConfig) { s.Volumes[0].Source = "" }, "must be a volume with a name"},
		"root's volume":     {"ingest", func(s *types.ServiceConfig) { s.Volumes[0].Target = "/var/lib" }, "the volume at /var/lib would be root's"},
		"privileges":        {"clickhouse", func(s *types.ServiceConfig) { s.SecurityOpt = nil }, "can gain privileges"},
	} {
		t.Run(name, func(t *testing.T) {
			project, err := LoadCompose()
			if err != nil {
				t.Fatal(err)
			}
			s := project.Services[tc.service]
			tc.spoil(&s)
			project.Services[tc.service] = s
			_, problems := judgeCompose(t, project)
			expect(t, problems, tc.want)
		})
	}
}

func TestInlineConfigIsRefused(t *testing.T) {
	project, err := LoadCompose()
	if err != nil {
		t.Fatal(err)
	}
	c := project.Configs["sink"]
	c.File, c.Content = "", "cut: {every: 1s}"
	project.Configs["sink"] = c
	_, problems := ComposeProcesses(project)
	expect(t, problems, "what is mounted at /etc/flowledger/sink.yaml must be a file")
}

func ptr(s string) *string { return &s }
