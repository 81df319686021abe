package policy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

func write(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const example = `# what listens in our network
services:
- name: orders
  addr: 10.20.0.0/16
  proto: tcp
  ports: [8443, 9000-9010]
- addr: 2001:db8::53
  proto: UDP
  ports: [53]
- proto: tcp
  ports: ["40000"]
`

// A policy goes from people to the stages and back.
func TestThereAndBack(t *testing.T) {
	f, err := Load(write(t, example))
	if err != nil {
		t.Fatal(err)
	}
	m := f.Message(3, 5e9)
	want := &flowv1.Policy{Version: 3, EffectiveFromNs: 5e9, Services: []*flowv1.KnownService{
		{Name: "orders", Addr: []byte{10, 20, 0, 0}, PrefixLength: 16, Proto: 6, Ports: []*flowv1.PortRange{{First: 8443, Last: 8443}, {First: 9000, Last: 9010}}},
		{Addr: []byte{0x20, 1, 0xd, 0xb8, 15: 0x53}, PrefixLength: 128, Proto: 17, Ports: []*flowv1.PortRange{{First: 53, Last: 53}}},
		{Proto: 6, Ports: []*flowv1.PortRange{{First: 40000, Last: 40000}}},
	}}
	if diff := cmp.Diff(m, want, protocmp.Transform()); diff != "" {
		t.Errorf("message (-got, +want):\n%s", diff)
	}
	again, err := FromMessage(m)
	if err != nil {
		t.Fatal(err)
	}
	text := again.YAML()
	wantText := `services:
- proto: tcp
  ports: [8443, 9000-9010]
  addr: 10.20.0.0/16
  name: "orders"
- proto: udp
  ports: [53]
  addr: 2001:db8::53/128
- proto: tcp
  ports: [40000]
`
	if diff := cmp.Diff(string(text), wantText); diff != "" {
		t.Errorf("file (-got, +want):\n%s", diff)
	}
	read, err := Load(write(t, string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(read.Message(3, 5e9), want, protocmp.Transform()); diff != "" {
		t.Errorf("read again (-got, +want):\n%s", diff)
	}
}

func TestErrorsSayWhatToWrite(t *testing.T) {
	for text, want := range map[string]string{
		"services:\n- proto: tcp\n  port: [80]\n":                     "services[0].port: unknown key; did you mean ports?",
		"services:\n- proto: tpc\n  ports: [80]\n":                    "services[0].proto: \"tpc\" is no protocol that has ports; write tcp, udp",
		"services:\n- ports: [80]\n":                                  "services[0].proto: is needed; write tcp",
		"services:\n- proto: tcp\n":                                   "services[0].ports: at least one is needed",
		"services:\n- proto: tcp\n  ports: [80-70]\n":                 "services[0].ports[0]: \"80-70\" is no port and no range of ports; write a number from 1 to 65535",
		"services:\n- proto: tcp\n  ports: [70000]\n":                 "services[0].ports[0]: \"70000\" is no port",
		"services:\n- proto: tcp\n  ports: 80\n":                      "a list ([a, b])",
		"services:\n- {addr: 10.0.0.1/33, proto: tcp, ports: [80]}\n": "services[0].addr: cannot use \"10.0.0.1/33\" as a network: write an address (10.1.2.3) or a prefix (10.0.0.0/8)",
		"networks: []\n":                                              "networks: unknown key; known here: services",
	} {
		_, err := Load(write(t, text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	if _, err := Load("/no/such.yaml"); err == nil || !strings.Contains(err.Error(), "cannot read the policy") {
		t.Errorf("got %v", err)
	}
	for _, text := range []string{"", "# nothing\n", "services: []\n", "services:\n"} {
		if f, err := Load(write(t, text)); err != nil || len(f.Services) != 0 {
			t.Errorf("%q declares nothing: got %v, %v", text, f, err)
		}
	}
}

// What others may have written is refused, not misread.
func TestStrangeMessagesAreRefused(t *testing.T) {
	for _, s := range []*flowv1.KnownService{
		{Addr: []byte{1, 2, 3}, Proto: 6},
		{Addr: []byte{1, 2, 3, 4}, PrefixLength: 33, Proto: 6},
		{Proto: 6, Ports: []*flowv1.PortRange{{First: 2, Last: 1}}},
		{Proto: 6, Ports: []*flowv1.PortRange{{First: 1, Last: 1 << 16}}},
	} {
		if f, err := FromMessage(&flowv1.Policy{Services: []*flowv1.KnownService{s}}); err == nil {
			t.Errorf("%v became %v", s, f)
		}
	}
}
