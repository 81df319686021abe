package embedded_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/segmentio/kafka-go"

	"github.com/flowledger/flowledger/services/internal/embedded"
	"github.com/flowledger/flowledger/services/internal/embedded/kafkatest"
)

func startBroker(t testing.TB, dir string) *embedded.Broker {
	t.Helper()
	b, err := embedded.StartBroker(t.Context(), embedded.BrokerConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func TestBrokerWithKafkaGo(t *testing.T) {
	kafkatest.Run(t, startBroker(t, "").Addr())
}

func TestBrokerOnDiskWithKafkaGo(t *testing.T) {
	kafkatest.Run(t, startBroker(t, t.TempDir()).Addr())
}

func TestBrokerPortTaken(t *testing.T) {
	var port int
	if _, err := fmt.Sscanf(startBroker(t, "").Addr(), "127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	_, err := embedded.StartBroker(t.Context(), embedded.BrokerConfig{Port: port})
	if err == nil || !strings.Contains(err.Error(), "choose another port") {
		t.Errorf("a taken port: %v", err)
	}
}

// Records, topic settings and group offsets outlive a clean stop.
func TestBrokerRestart(t *testing.T) {
	dir := t.TempDir()
	first := startBroker(t, dir)
	client := kafkatest.New(first.Addr())
	client.CreateTopic(t, "kept", 2, kafka.ConfigEntry{ConfigName: "message.timestamp.type", ConfigValue: "LogAppendTime"})
	client.Produce(t, "kept", 1, "a", "b", "c")
	client.CommitOffset(t, "group", "kept", 1, 2)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	client = kafkatest.New(startBroker(t, dir).Addr())
	if got := client.Values(t, "kept", 1, 3); strings.Join(got, "") != "abc" {
		t.Errorf("records after the restart: %q", got)
	}
	if got := client.Offset(t, "group", "kept", 1); got != 2 {
		t.Errorf("group offset after the restart: %d, want 2", got)
	}
	again := client.Produce(t, "kept", 1, "d")
	if again.BaseOffset != 3 {
		t.Errorf("produced after the restart: %+v", again)
	}
	if n := client.Partitions(t, "kept"); n != 2 {
		t.Errorf("%d partitions after the restart, want 2", n)
	}
}

// What was acknowledged outlives the death of the broker's process, because each
// batch has been handed to the kernel by then.
func TestBrokerKilled(t *testing.T) {
	dir := t.TempDir()
	const rounds, records = 5, 200
	written := 0
	for round := range rounds {
		addr, kill := brokerProcess(t, dir)
		client := kafkatest.New(addr)
		if round == 0 {
			client.CreateTopic(t, "kept", 1)
		}
		if written > 0 {
			if got := client.Values(t, "kept", 0, written); len(got) != written || got[written-1] != fmt.Sprint(written-1) {
				t.Fatalf("round %d: %d records, last %s; %d were acknowledged", round, len(got), got[len(got)-1], written)
			}
			if got := client.Offset(t, "group", "kept", 0); got != int64(written) {
				t.Fatalf("round %d: group offset %d, want %d", round, got, written)
			}
		}
		for range records {
			client.Produce(t, "kept", 0, fmt.Sprint(written))
			written++
		}
		client.CommitOffset(t, "group", "kept", 0, int64(written))
		kill()
	}
}

// brokerProcess runs a broker in a process of its own.
func brokerProcess(t *testing.T, dir string) (addr string, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestBrokerChild$")
	cmd.Env = append(os.Environ(), "BROKER_CHILD_DIR="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	t.Cleanup(kill)
	if _, err := fmt.Fscanf(out, "broker at %s\n", &addr); err != nil {
		t.Fatalf("the broker's process said nothing: %v", err)
	}
	return addr, kill
}

// TestBrokerChild is the process of brokerProcess; it runs until killed.
func TestBrokerChild(t *testing.T) {
	dir := os.Getenv("BROKER_CHILD_DIR")
	if dir == "" {
		t.Skip("runs only as a child of TestBrokerKilled")
	}
	b, err := embedded.StartBroker(t.Context(), embedded.BrokerConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("broker at %s\n", b.Addr())
	<-t.Context().Done()
}

func BenchmarkBrokerProduce(b *testing.B) {
	for _, dir := range []string{"", b.TempDir()} {
		b.Run(fmt.Sprintf("disk=%v", dir != ""), func(b *testing.B) {
			client := kafkatest.New(startBroker(b, dir).Addr())
			client.CreateTopic(b, "t", 1)
			value := strings.Repeat("x", 64<<10)
			b.SetBytes(int64(len(value)))
			for b.Loop() {
				client.Produce(b, "t", 0, value)
			}
		})
	}
}
