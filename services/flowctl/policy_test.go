package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// policyNamed writes a policy file.
func policyNamed(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// serves declares a client of campus_mixed.pcap.gz a server.
const serves = "services: [{addr: 10.0.2.15, proto: tcp, ports: [49152-49200]}]"

func TestRunWithPolicy(t *testing.T) {
	sharedCaptures(t)
	in := filepath.Join(shared, "traffic", "campus_mixed.pcap.gz")
	without, _ := must(t, "run", in)
	empty, _ := must(t, "run", "--policy", policyNamed(t, "services: []"), in)
	if empty != without {
		t.Error("a policy that declares nothing makes a difference")
	}
	const server = `"server_addr":"10.0.2.15","server_port":491`
	with, _ := must(t, "run", "--policy", policyNamed(t, serves), in)
	if strings.Contains(without, server) || !strings.Contains(with, server) || !strings.Contains(with, `"initiator_confidence":0.95`) {
		t.Error("the declared server is not taken for one")
	}
	_, _, err := ctl(t.Context(), "run", "--policy", policyNamed(t, "services: [{proto: tcp}]"), in)
	if err == nil || !strings.Contains(err.Error(), "services[0].ports") {
		t.Errorf("a wrong policy: got %v", err)
	}
}

func TestPolicyCommands(t *testing.T) {
	at, _ := broker(t)
	line := func(args ...string) []string { return append(append([]string{"policy"}, args...), at...) }
	file := policyNamed(t, serves)
	_, stderr := must(t, "policy", "check", file)
	if !strings.Contains(stderr, "a policy of 1 service") {
		t.Errorf("check: %s", stderr)
	}
	if _, _, err := ctl(t.Context(), line("apply", file)...); err == nil || !strings.Contains(err.Error(), "flowctl topics create") {
		t.Errorf("without topics: got %v", err)
	}
	must(t, append([]string{"topics"}, at...)...)
	stdout, stderr := must(t, line("show")...)
	if stdout != "" || !strings.Contains(stderr, "there is no policy") {
		t.Errorf("show without a policy: %s%s", stdout, stderr)
	}
	if _, stderr = must(t, line("apply", file)...); !strings.Contains(stderr, "version 1 holds from 2") || !regexp.MustCompile(`, in \d+s: 1 service`).MatchString(stderr) {
		t.Errorf("apply: %s", stderr)
	}
	if _, stderr = must(t, line("push", file)...); !strings.Contains(stderr, "version 1 says the same") {
		t.Errorf("apply again: %s", stderr)
	}
	must(t, line("apply", policyNamed(t, "services: []"))...)
	if stdout, _ = must(t, line("show")...); !strings.HasPrefix(stdout, "# version 2 of 2, written 2") || !strings.HasSuffix(stdout, "Z\nservices: []\n") {
		t.Errorf("show: %s", stdout)
	}
	if stdout, _ = must(t, line("show", "--version", "1")...); !strings.HasPrefix(stdout, "# version 1 of 2") || !strings.Contains(stdout, "49152-49200") {
		t.Errorf("show --version 1: %s", stdout)
	}
	if _, stderr = must(t, line("apply", policyNamed(t, stdout))...); !strings.Contains(stderr, "version 3 holds") {
		t.Errorf("apply what was shown: %s", stderr)
	}
	stdout, _ = must(t, append([]string{"tail", "policy", "-n", "1"}, at...)...)
	if !strings.Contains(stdout, `"services":[{"addr":"10.0.2.15","prefix_length":32,"proto":6,"ports":[{"first":49152,"last":49200}]}]`) {
		t.Errorf("tail: %s", stdout)
	}
}

// A published capture has its policy from the start.
func TestPublishWithPolicy(t *testing.T) {
	sharedCaptures(t)
	in := filepath.Join(shared, "traffic", "campus_mixed.pcap.gz")
	at, _ := broker(t)
	line := func(args ...string) []string { return append(args, at...) }
	must(t, line("topics")...)
	must(t, line("publish", "--policy", policyNamed(t, serves), in)...)
	if stdout, _ := must(t, line("policy", "show")...); !strings.Contains(stdout, "holds from the start\n") {
		t.Errorf("show: %s", stdout)
	}
	_, _, err := ctl(t.Context(), line("publish", "--force", "--policy", policyNamed(t, "services: []"), in)...)
	if err == nil || !strings.Contains(err.Error(), "no policy can hold from the start") {
		t.Errorf("in a timeline that has begun: got %v", err)
	}
	if stdout, _ := must(t, line("policy", "show")...); !strings.HasPrefix(stdout, "# version 1 of 1") {
		t.Errorf("a policy that was refused is there: %s", stdout)
	}
}

func TestPolicyErrorsHelp(t *testing.T) {
	wrong := policyNamed(t, "services: [{proto: tcp, prots: [80]}]")
	large := policyNamed(t, "services: [{proto: tcp, ports: [80], name: "+strings.Repeat("x", 1<<20)+"}]")
	for args, want := range map[string]string{
		"policy check":          "flowctl policy check policy.yaml",
		"policy apply a b":      "name one policy file",
		"policy check " + wrong: "unknown key",
		"policy check " + large: "name networks instead",
		"policy apply --in 1s " + policyNamed(t, serves): "at least 10s",
		"policy aply": "did you mean apply",
		"policy show --kafka.brokers 127.0.0.1:1": "kafka.brokers",
	} {
		_, _, err := ctl(t.Context(), strings.Fields(args)...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", args, err)
		}
	}
}
