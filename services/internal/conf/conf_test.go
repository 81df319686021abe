package conf

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

type testConfig struct {
	Kafka  testKafka      `yaml:"kafka" doc:"the broker"`
	Allow  []netip.Prefix `yaml:"allow" doc:"who may send"`
	Buffer Bytes          `yaml:"buffer" doc:"receive buffer"`
	Level  slog.Level     `yaml:"level" doc:"log level"`
	Pprof  bool           `yaml:"pprof" doc:"profiling"`
	Share  float64        `yaml:"share"`
	Rules  []testRule     `yaml:"rules" doc:"rules of one's own"`
	Names  map[string]int `yaml:"names"`
	hidden int            //nolint:unused // unexported fields must be skipped
}

type testKafka struct {
	Brokers    []string      `yaml:"brokers" doc:"host:port of each"`
	Timeout    time.Duration `yaml:"timeout" doc:"patience"`
	Partitions struct {
		Hosts int `yaml:"hosts" doc:"partitions of biflows"`
	} `yaml:"partitions" doc:"how many"`
	Prefix string `yaml:"topic_prefix"`
}

type testRule struct {
	Name string        `yaml:"name"`
	Hold time.Duration `yaml:"hold"`
}

func (c *testConfig) Validate() error {
	if c.Kafka.Partitions.Hosts < 1 {
		return Invalid("kafka.partitions.hosts", "at least one partition is needed", "set it to %d, the default", 4)
	}
	return nil
}

func testDefault() *testConfig {
	c := &testConfig{
		Kafka:  testKafka{Brokers: []string{"localhost:9092"}, Timeout: 10 * time.Second},
		Allow:  []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		Buffer: 16 << 20,
		Share:  0.5,
	}
	c.Kafka.Partitions.Hosts = 4
	return c
}

func TestLaterSourcesWin(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	yaml := "kafka:\n  timeout: 30s\n  topic_prefix: file.\n  partitions:\n    hosts: 8\nrules:\n  - {name: x, hold: 5m}\nnames: {a: 1}\nbuffer: 1MiB\n"
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	got := testDefault()
	fs := pflag.NewFlagSet("t", pflag.ContinueOnError)
	flags := AddFlags(fs, got)
	if err := fs.Parse([]string{"--kafka.partitions.hosts=16", "--pprof", "--level", "debug"}); err != nil {
		t.Fatal(err)
	}
	env := []string{
		"FLOWLEDGER_KAFKA_BROKERS=a:1, b:2", "FLOWLEDGER_KAFKA_TOPIC_PREFIX=env.", "FLOWLEDGER_KAFKA_PARTITIONS_HOSTS=12",
		"FLOWLEDGER_ALLOW=192.0.2.0/24,2001:db8::/32", "FLOWLEDGER_KAFKA_SERVICE_PORT=tcp://10.0.0.1:9092", "HOME=/",
	}
	if err := Load(got, Sources{File: file, Env: env, Flags: flags}); err != nil {
		t.Fatal(err)
	}
	want := testDefault()
	want.Kafka.Brokers = []string{"a:1", "b:2"}
	want.Kafka.Timeout = 30 * time.Second
	want.Kafka.Prefix = "env."
	want.Kafka.Partitions.Hosts = 16
	want.Allow = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	want.Buffer = 1 << 20
	want.Level = slog.LevelDebug
	want.Pprof = true
	want.Rules = []testRule{{Name: "x", Hold: 5 * time.Minute}}
	want.Names = map[string]int{"a": 1}
	if diff := cmp.Diff(got, want, diffOptions); diff != "" {
		t.Errorf("(-got, +want)\n%s", diff)
	}
}

var diffOptions = cmp.Options{cmp.AllowUnexported(testConfig{}), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })}

func TestFileErrors(t *testing.T) {
	for _, tc := range []struct{ name, yaml, want string }{
		{"misspelt key", "kafka:\n  broker: [a]\n", "f:2:3: kafka.broker: unknown key; did you mean brokers?"},
		{"foreign key", "kafka:\n  zookeeper: x\n", "f:2:3: kafka.zookeeper: unknown key; known here: brokers, timeout, partitions, topic_prefix"},
		{"unknown key in a list", "rules:\n  - nam: x\n", "f:2:5: rules[0].nam: unknown key; did you mean name?"},
		{"duration without unit", "kafka:\n  timeout: 30\n", `f:2:12: kafka.timeout: "30" is no duration; write a number with its unit, such as 500ms, 30s or 5m`},
		{"word for a number", "kafka: {partitions: {hosts: four}}\n", `f:1:29: kafka.partitions.hosts: "four" is no whole number`},
		{"value for a list", "allow: 10.0.0.0/8\n", "f:1:8: allow: a single value, where a list ([a, b]) is wanted"},
		{"list for a value", "buffer: [1]\n", "f:1:9: buffer: a list, where a single value (bytes) is wanted"},
		{"value for a section", "kafka: localhost\n", "f:1:8: kafka: a single value, where a mapping (key: value) is wanted"},
		{"list for the file", "- a\n", "f:1:1: the file: a list, where a mapping (key: value) is wanted"},
		{"twice", "buffer: 1\nbuffer: 2\n", `f:2:1: mapping key "buffer" already defined at [1:1]`},
		{"no prefix", "allow: [10.0.0.0]\n", `f:1:9: allow[0]: "10.0.0.0" is no prefix: netip.ParsePrefix("10.0.0.0"): no '/'`},
		{"two documents", "buffer: 1\n---\nbuffer: 2\n", "f: holds 2 YAML documents; keep one"},
		{"hidden field", "hidden: 1\n", "f:1:1: hidden: unknown key; known here: kafka, allow, buffer, level, pprof, share, rules, names"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := LoadYAML(testDefault(), "f", []byte(tc.yaml))
			if err == nil || err.Error() != tc.want {
				t.Errorf("got:  %v\nwant: %s", err, tc.want)
			}
		})
	}
}

func TestAllFileErrorsAtOnce(t *testing.T) {
	err := LoadYAML(testDefault(), "f", []byte("buffr: 1\nkafka:\n  timeout: soon\n"))
	if err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("want two lines, got: %v", err)
	}
}

func TestHarmlessFiles(t *testing.T) {
	for _, yaml := range []string{
		"", "# nothing\n", "---\n", "kafka:\n", "kafka: {}\n", "rules: []\nnames: {}\n",
		"kafka: &k\n  timeout: 10s\n", "buffer: 16777216\n", "buffer: \"16MiB\"\n", "level: INFO\n",
	} {
		got := testDefault()
		if err := LoadYAML(got, "f", []byte(yaml)); err != nil {
			t.Errorf("%q: %v", yaml, err)
		}
		if len(got.Rules) == 0 {
			got.Rules = nil
		}
		if len(got.Names) == 0 {
			got.Names = nil
		}
		if diff := cmp.Diff(got, testDefault(), diffOptions); diff != "" {
			t.Errorf("%q changed the defaults (-got, +want)\n%s", yaml, diff)
		}
	}
}

func TestListInFileReplacesDefault(t *testing.T) {
	got := testDefault()
	if err := LoadYAML(got, "f", []byte("allow: [192.0.2.0/24]\n")); err != nil {
		t.Fatal(err)
	}
	if want := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}; len(got.Allow) != 1 || got.Allow[0] != want[0] {
		t.Errorf("got %v, want %v", got.Allow, want)
	}
}

func TestEnvAndFlagErrors(t *testing.T) {
	for _, tc := range []struct{ env, want string }{
		{"FLOWLEDGER_KAFKA_TIMEOUT=30", "kafka.timeout (FLOWLEDGER_KAFKA_TIMEOUT): "},
		{"FLOWLEDGER_RULES=x", "FLOWLEDGER_RULES: rules cannot be set by a variable; set it in the file"},
		{"FLOWLEDGER_KAFKA_PARTITIONS_HOSTS=0", "kafka.partitions.hosts: at least one partition is needed; set it to 4, the default"},
		{"FLOWLEDGER_PPROF=maybe", "pprof (FLOWLEDGER_PPROF): \"maybe\" is no boolean"},
		{"FLOWLEDGER_KAFKA_PARTITIONS_HOSTS=99999999999999999999", "is out of range for a whole number of 64 bits"},
	} {
		err := Load(testDefault(), Sources{Env: []string{tc.env}})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want …%s…", tc.env, err, tc.want)
		}
	}
	fs := pflag.NewFlagSet("t", pflag.ContinueOnError)
	AddFlags(fs, testDefault())
	if err := fs.Parse([]string{"--kafka.timeout=x"}); err == nil || !strings.Contains(err.Error(), "--kafka.timeout") {
		t.Errorf("got %v", err)
	}
}

func TestFlagHelp(t *testing.T) {
	fs := pflag.NewFlagSet("t", pflag.ContinueOnError)
	AddFlags(fs, testDefault())
	got := fs.FlagUsages()
	for _, want := range []string{
		"--kafka.brokers list", "host:port of each (default localhost:9092)", "--kafka.timeout duration", "(default 10s)",
		"--buffer bytes", "(default 16MiB)", "--pprof ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("help lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "--rules") || strings.Contains(got, "--names") {
		t.Errorf("help offers what only the file can hold:\n%s", got)
	}
}

func TestPrintReadsBack(t *testing.T) {
	want := testDefault()
	want.Rules = []testRule{{Name: "true: #x", Hold: 90 * time.Second}, {Name: "y"}}
	want.Names = map[string]int{"b": 2, "a": 1}
	want.Kafka.Prefix = "on"
	want.Kafka.Brokers = []string{"[::1]:9092", "a, b", "ü\n\"q\"", "null", "-", "~", "0x10", "1e3", ""}
	var b strings.Builder
	if err := Print(&b, want); err != nil {
		t.Fatal(err)
	}
	got := &testConfig{}
	if err := LoadYAML(got, "printed", []byte(b.String())); err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	if diff := cmp.Diff(got, want, diffOptions); diff != "" {
		t.Errorf("(-got, +want)\n%s\n%s", diff, b.String())
	}
}

func TestPrintGolden(t *testing.T) {
	var b strings.Builder
	c := testDefault()
	c.Rules = []testRule{{Name: "x", Hold: 5 * time.Minute}}
	if err := Print(&b, c); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/printed.yaml")
	if err != nil || b.String() != string(want) {
		t.Errorf("testdata/printed.yaml (%v) differs from:\n%s", err, b.String())
	}
}

func TestUnder(t *testing.T) {
	err := Under("dedup", errors.Join(Invalid("hold", "must be positive", "set it to 10s"), errors.New("policy: unknown")))
	want := "dedup.hold: must be positive; set it to 10s\ndedup.policy: unknown"
	if err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	if Under("x", nil) != nil || Under("x", errors.Join()) != nil {
		t.Error("no error became one")
	}
}

func TestBytes(t *testing.T) {
	for text, want := range map[string]Bytes{"0": 0, "4096": 4096, "4KiB": 4096, "16 MiB": 16 << 20, "2GiB": 2 << 30} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%s: got %d, %v; want %d", text, b, err, want)
		}
		var again Bytes
		if err := again.UnmarshalText([]byte(b.String())); err != nil || again != want {
			t.Errorf("%s printed as %s reads back as %d, %v", text, b, again, err)
		}
	}
	for _, text := range []string{"", "-1", "1MB", "MiB", "9223372036854775807GiB", "1.5MiB"} {
		if err := new(Bytes).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

// tagOnNothing makes the YAML library panic instead of refusing it.
const tagOnNothing = "rules: !list\n"

func TestParserPanicIsAnError(t *testing.T) {
	err := LoadYAML(testDefault(), "f.yaml", []byte(tagOnNothing))
	if err == nil || !strings.HasPrefix(err.Error(), "f.yaml: cannot be read as YAML") {
		t.Errorf("got %v", err)
	}
}

func FuzzLoadYAML(f *testing.F) {
	f.Add("kafka:\n  brokers: [a]\nrules:\n  - {name: x}\n")
	f.Add("a: &a {b: *a}\n<<: *a")
	f.Add(tagOnNothing)
	f.Fuzz(func(t *testing.T, text string) {
		got := testDefault()
		if LoadYAML(got, "f", []byte(text)) != nil {
			return
		}
		var b strings.Builder
		if err := Print(&b, got); err != nil {
			t.Fatal(err)
		}
		if err := LoadYAML(testDefault(), "printed", []byte(b.String())); err != nil {
			t.Fatalf("what was loaded prints as what cannot be: %v\n%s", err, b.String())
		}
	})
}
