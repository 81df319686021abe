package validate

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// Effective is what a program says it would do: the part of its configuration
// that the world around it must fit to.
type Effective struct {
	Listen []string `json:"listen"`
	HTTP   struct {
		Addr string `json:"addr"`
	} `json:"http"`
	Streams struct {
		TLS struct {
			CertFile     string `json:"cert_file"`
			KeyFile      string `json:"key_file"`
			ClientCAFile string `json:"client_ca_file"`
		} `json:"tls"`
	} `json:"streams"`
	ShutdownTimeout string `json:"shutdown_timeout"`
	Spool           struct {
		Dir      string `json:"dir"`
		MaxBytes string `json:"max_bytes"`
	} `json:"spool"`
	VPC   places `json:"vpc"`
	Zeek  places `json:"zeek"`
	Kafka struct {
		Brokers     []string       `json:"brokers"`
		TopicPrefix string         `json:"topic_prefix"`
		Group       string         `json:"group"`
		Partitions  map[string]int `json:"partitions"`
	} `json:"kafka"`
	ClickHouse struct {
		Addr         []string `json:"addr"`
		Database     string   `json:"database"`
		User         string   `json:"user"`
		PasswordFile string   `json:"password_file"`
	} `json:"clickhouse"`

	usesKafka, usesLedger bool
	shutdown              time.Duration
}

// places are where ingest remembers how far it has read log files.
type places struct {
	StateDir string `json:"state_dir"`
}

// Effective asks the program itself what a process's configuration amounts to.
// Unknown keys, flags and variables, and values against the rules, are errors.
func (p *Programs) Effective(of *Process) (*Effective, error) {
	dir, err := os.MkdirTemp("", "flowledger-validate-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if file := of.config(); file != "" {
		if _, ok := of.Files[file]; !ok {
			return nil, of.problem("its configuration %s is not mounted", file)
		}
	}
	args, env, err := layout(of, dir)
	if err != nil {
		return nil, err
	}
	printed, err := p.ask(of, dir, args, env)
	if err != nil {
		return nil, err
	}
	e := &Effective{}
	if err := yaml.Unmarshal([]byte(printed), e); err != nil {
		return nil, of.problem("cannot read what it printed: %w", err)
	}
	if e.ShutdownTimeout != "" {
		if e.shutdown, err = time.ParseDuration(e.ShutdownTimeout); err != nil {
			return nil, of.problem("shutdown_timeout: %w", err)
		}
	}
	e.usesKafka = of.Binary != "flowctl" || of.command() == "topics"
	e.usesLedger = of.Binary == "sink" || of.command() == "migrate"
	return e, nil
}

// command is flowctl's.
func (p *Process) command() string {
	if p.Binary != "flowctl" || len(p.Args) == 0 {
		return ""
	}
	return p.Args[0]
}

// ask checks what a process is given and returns its configuration in effect.
func (p *Programs) ask(of *Process, dir string, args []string, env map[string]string) (printed string, err error) {
	if of.Binary == "flowctl" {
		return p.askFlowctl(of, args, env)
	}
	check := []string{"config", "check", "--environment"}
	if file := of.config(); file != "" {
		check = append(check, filepath.Join(dir, file))
	}
	if _, said, err := p.run(of.Binary, env, check...); err != nil {
		return "", of.problem("%s", said)
	}
	printed, said, err := p.run(of.Binary, env, append([]string{"config", "print"}, args...)...)
	if err != nil {
		return "", of.problem("%s", said)
	}
	return printed, nil
}

// askFlowctl holds the command line against flowctl, and the environment against
// the keys that it has: it takes any, for people have other things in theirs.
func (p *Programs) askFlowctl(of *Process, args []string, env map[string]string) (string, error) {
	if len(args) == 0 {
		return "", of.problem("flowctl needs a command")
	}
	if _, said, err := p.run("flowctl", env, append(slices.Clone(args), "--help")...); err != nil {
		return "", of.problem("%s", said)
	}
	printed, said, err := p.run("flowctl", env, append([]string{"run", "--print-config"}, args[1:]...)...)
	if err != nil {
		return "", of.problem("%s", said)
	}
	known, err := variables(printed)
	if err != nil {
		return "", of.problem("%w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if strings.HasPrefix(name, "FLOWLEDGER_") && !known[name] {
			return "", of.problem("%s names no key", name)
		}
	}
	return printed, nil
}

// variables are the names of the variables that set the keys of a configuration.
func variables(printed string) (map[string]bool, error) {
	var tree map[string]any
	if err := yaml.Unmarshal([]byte(printed), &tree); err != nil {
		return nil, fmt.Errorf("cannot read what it printed: %w", err)
	}
	names := map[string]bool{}
	var walk func(prefix string, tree map[string]any)
	walk = func(prefix string, tree map[string]any) {
		for key, value := range tree {
			name := prefix + "_" + strings.ToUpper(key)
			if section, ok := value.(map[string]any); ok {
				walk(name, section)
				continue
			}
			names[name] = true
		}
	}
	walk("FLOWLEDGER", tree)
	return names, nil
}
