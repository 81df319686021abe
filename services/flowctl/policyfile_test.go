package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writePolicy writes a policy file.
func writePolicy(t *testing.T, text string) (path string) {
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
	empty, _ := must(t, "run", "--policy", writePolicy(t, "services: []"), in)
	if empty != without {
		t.Error("a policy that declares nothing makes a difference")
	}
	const server = `"server_addr":"10.0.2.15","server_port":491`
	with, _ := must(t, "run", "--policy", writePolicy(t, serves), in)
	if strings.Contains(without, server) || !strings.Contains(with, server) || !strings.Contains(with, `"initiator_confidence":0.95`) {
		t.Error("the declared server is not taken for one")
	}
	_, _, err := ctl(t.Context(), "run", "--policy", writePolicy(t, "services: [{proto: tcp}]"), in)
	if err == nil || !strings.Contains(err.Error(), "services[0].ports") {
		t.Errorf("a wrong policy: got %v", err)
	}
}
