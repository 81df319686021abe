package validate

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chartutil"
)

// pages are the documents for people, by their path in the repository.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, pattern := range []string{"README.md", "CONTRIBUTING.md", "docs/*/*.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, files, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			name, _ := filepath.Rel(root, file)
			all[name] = string(text)
		}
	}
	return all
}

var link = regexp.MustCompile(`\]\(([^)#\s]+)(#[^)]*)?\)`)

func TestLinksLeadSomewhere(t *testing.T) {
	for name, text := range pages(t) {
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			if u, err := url.Parse(found[1]); err == nil && u.Scheme != "" {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(name), found[1])); err != nil {
				t.Errorf("%s: %s leads nowhere", name, found[1])
			}
		}
	}
}

var (
	makeTarget = regexp.MustCompile("(?m)^`?make ([a-z][a-z-]+)\\b")
	invocation = regexp.MustCompile(`(?:bin/|(?m:^)|` + "`" + `)(ingest|dedup|stitch|detect|sink|flowctl) ([a-z -][^\n` + "`" + `&#|]*)`)
	word       = regexp.MustCompile(`^[a-z]+$`)
	flagWord   = regexp.MustCompile(`--[a-z][a-z_.-]*`)
)

// Every command line that the documents name must be understood by the programs.
func TestCommandsInDocumentsExist(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for name, text := range pages(t) {
		code := inCode(text)
		for _, found := range makeTarget.FindAllStringSubmatch(code, -1) {
			if !regexp.MustCompile(`(?m)^` + found[1] + `:`).Match(makefile) {
				t.Errorf("%s: there is no `make %s`", name, found[1])
			}
		}
		for _, found := range invocation.FindAllStringSubmatch(code, -1) {
			seen++
			if err := understood(programs(t), found[1], found[2]); err != nil {
				t.Errorf("%s: %s %s: %v", name, found[1], found[2], err)
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d commands found: the search is broken", seen)
	}
}

var (
	fence  = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```")
	inline = regexp.MustCompile("`[^`\n]+`")
)

// inCode is the part of a document that is code, a piece per line.
func inCode(text string) string {
	var b strings.Builder
	for _, found := range fence.FindAllStringSubmatch(text, -1) {
		b.WriteString(found[2] + "\n")
	}
	for _, found := range inline.FindAllString(fence.ReplaceAllString(text, ""), -1) {
		b.WriteString(found + "\n")
	}
	return b.String()
}

// understood asks a program for help on the command, and looks for the flags there.
func understood(p *Programs, program, rest string) error {
	var commands []string
	for _, w := range strings.Fields(rest) {
		if !word.MatchString(w) || program == "flowctl" && len(commands) == 1 && commands[0] != "topics" && commands[0] != "migrate" {
			break
		}
		commands = append(commands, w)
	}
	help, said, err := p.run(program, nil, append(slices.Clone(commands), "--help")...)
	if err != nil {
		return fmt.Errorf("%s", said)
	}
	if len(commands) > 0 && !strings.Contains(help, strings.Join(append([]string{program}, commands...), " ")) {
		return fmt.Errorf("there is no such command")
	}
	for _, f := range flagWord.FindAllString(rest, -1) {
		if !regexp.MustCompile(regexp.QuoteMeta(f) + `[ ,=\n]`).MatchString(help) {
			return fmt.Errorf("there is no flag %s", f)
		}
	}
	return nil
}

// A YAML block that begins with "# <service>.yaml" or "# values.yaml" must be
// taken by that service, or make a sound deployment.
func TestConfigurationsInDocumentsAreGood(t *testing.T) {
	seen := 0
	for name, text := range pages(t) {
		for _, found := range fence.FindAllStringSubmatch(text, -1) {
			first, _, _ := strings.Cut(found[2], "\n")
			file, isFile := strings.CutPrefix(first, "# ")
			if found[1] != "yaml" || !isFile {
				continue
			}
			seen++
			t.Run(name+"/"+file, func(t *testing.T) { judgeExample(t, file, found[2]) })
		}
	}
	if seen < 2 {
		t.Errorf("only %d examples found: the search is broken", seen)
	}
}

func judgeExample(t *testing.T, file, text string) {
	if file == "values.yaml" {
		values, err := chartutil.ReadValues([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		o := objects(t, values)
		processes, problems := o.Processes()
		report(t, append(problems, programs(t).Judge(processes)...))
		return
	}
	service := strings.TrimSuffix(file, ".yaml")
	if !slices.Contains(Services, service) {
		t.Fatalf("%s is nobody's", file)
	}
	_, err := programs(t).Effective(&Process{Where: file, Binary: service, Args: []string{"--config", "/" + file}, Files: map[string]string{"/" + file: text}})
	if err != nil {
		t.Error(err)
	}
}

func TestUnknownCommandsAreNoticed(t *testing.T) {
	p := programs(t)
	for rest, want := range map[string]string{
		"rum capture.pcap":     "there is no",
		"run --emmit alerts x": "there is no flag --emmit",
		"tail --followed":      "there is no flag",
	} {
		expect(t, []error{understood(p, "flowctl", rest)}, want)
	}
	expect(t, []error{understood(p, "ingest", "config prnt")}, "there is no such command")
}
