package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/testkit"
)

func TestMedianOfRounds(t *testing.T) {
	var table table
	for _, c := range []cost{
		{user: 3 * time.Second, system: time.Second, rss: 10},
		{user: 1 * time.Second, system: time.Second, rss: 30},
		{user: 2 * time.Second, system: time.Second, rss: 20},
	} {
		table.add(lineRun, c)
		table.add(lineBoth, c.and(cost{user: time.Second, rss: 25}))
	}
	var out bytes.Buffer
	if err := table.print(&out, &input{name: "x", DataRecords: 1000}); err != nil {
		t.Fatal(err)
	}
	want := `{"system":"flowctl run --emit none","input":"x","records":1000,"cpu_seconds":3,"user_seconds":2,"system_seconds":1,"ns_per_record":3000000,"peak_rss_bytes":20,"cpu_seconds_min":2,"cpu_seconds_max":4,"rounds":3}
{"system":"nfcapd + nfdump -B","input":"x","records":1000,"cpu_seconds":4,"user_seconds":3,"system_seconds":1,"ns_per_record":4000000,"peak_rss_bytes":25,"cpu_seconds_min":3,"cpu_seconds_max":5,"rounds":3}
{"ratio":"flowctl run --emit none / (nfcapd + nfdump -B)","input":"x","cpu":0.75,"rss":0.8}
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want, +got)\n%s", diff)
	}
}

// TestFloor takes every flow of a capture through the generated code, which must give
// the bytes that it was given.
func TestFloor(t *testing.T) {
	batches, err := floorBatches(testkit.Data(t, "traffic/internet_morning.pcap.gz"))
	if err != nil {
		t.Fatal(err)
	}
	flows := make([]flowv1.Flow, floorBatch)
	total := 0
	for _, batch := range batches {
		n, err := decodeGenerated(flows, batch)
		if err != nil {
			t.Fatal(err)
		}
		total += n
		var again []byte
		for i := range flows[:n] {
			again = appendGenerated(again, &flows[i])
		}
		if !bytes.Equal(again, batch) {
			t.Fatalf("%d flows have become others", n)
		}
	}
	if total < 1000 {
		t.Errorf("only %d flows", total)
	}
}

func TestPoints(t *testing.T) {
	var o options
	if err := o.choosePoints("300000x4x1,1000000x8x4"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("[300000x4x1 1000000x8x4]", fmt.Sprint(o.points)); diff != "" {
		t.Errorf("(-want, +got)\n%s", diff)
	}
	for _, wrong := range []string{"", "1", "1x2", "0x4x1", "1x0x1", "1x1x-1", "1x2x3x4", "1x2x3 ", "alles"} {
		if err := new(options).choosePoints(wrong); err == nil {
			t.Errorf("%q is taken for a point", wrong)
		}
	}
	if err := o.choosePoints("all"); err != nil || len(o.points) != 12 {
		t.Errorf("all are %v (%v)", o.points, err)
	}
}

// TestScaleLine is the round in the middle, in the form of the other lines.
func TestScaleLine(t *testing.T) {
	var out bytes.Buffer
	p := point{records: 1000, partitions: 4, processes: 2}
	if err := write(&out, p.line("dedup", []scaleCost{{cost{user: 3 * time.Second, rss: 1}, 0}, {cost{user: time.Second, rss: 2}, 0}, {cost{user: time.Second, system: time.Second, rss: 3}, time.Second / 2}})); err != nil {
		t.Fatal(err)
	}
	want := `{"system":"dedup","records":1000,"partitions":4,"processes":2,"cpu_seconds":2,"start_stop_cpu_seconds":0.5,"ns_per_record":2000000,"peak_rss_bytes":3,"rounds":3}` + "\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want, +got)\n%s", diff)
	}
}

// TestCPUTimes reads what the kernel says of a process whose name is made to mislead.
func TestCPUTimes(t *testing.T) {
	user, system, err := cpuTimes([]byte("4711 (a) 9 (b) S 1 4711 4711 0 -1 4194560 1234 0 5 0 152 37 0 0 20 0 9 0 123456 1 2\n"))
	if err != nil || user != 1520*time.Millisecond || system != 370*time.Millisecond {
		t.Errorf("got %s, %s, %v", user, system, err)
	}
	for _, wrong := range []string{"", "4711 (a) S 1 4711", "4711 (a) S 1 4711 4711 0 -1 4194560 1234 0 5 0 x 37 0"} {
		if _, _, err := cpuTimes([]byte(wrong)); err == nil {
			t.Errorf("%q was read", wrong)
		}
	}
}

func TestReadMetrics(t *testing.T) {
	got := readMetrics([]byte(`# HELP flowledger_stage_lag_messages Messages
flowledger_stage_lag_messages{partition="0",stage="sink",topic="alerts"} 3
flowledger_stage_lag_messages{partition="1",stage="sink",topic="alerts"} 4
flowledger_stage_records_in_total{stage="sink"} 1.5e+06
flowledger_stage_partitions{stage="sink"} 3
flowledger_sink_records_total{topic="biflows"} 9
flowledger_sink_rows_total{table="biflows"} 7
flowledger_ingest_dropped_total{reason="kernel"} 1
flowledger_ingest_dropped_total{reason="queue_full"} 1
goflow2_flow_process_nf_flowset_records_total{router="127.77.0.1",type="DataFlowSet",version="9"} 30
goflow2_flow_process_nf_flowset_records_total{router="127.77.0.1",type="TemplateFlowSet",version="9"} 2
`))
	want := metrics{lag: 7, recordsIn: 1_500_000, decoded: 30, dropped: 2, partitions: 3,
		read: map[string]uint64{"biflows": 9}, rows: map[string]uint64{"biflows": 7}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(metrics{})); diff != "" {
		t.Errorf("(-want, +got)\n%s", diff)
	}
}

func TestFindSocket(t *testing.T) {
	sockets := []byte(`   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
13327: 0100007F:4E1B 00000000:0000 07 00000000:00010200 00:00000000 00000000     0        0 394736 2 0000000000000000 12
`)
	got, ok := findSocket(sockets, 0x4e1b)
	if want := (socket{queued: 0x10200, drops: 12}); !ok || got != want {
		t.Errorf("got %+v, %v, want %+v", got, ok, want)
	}
	if _, ok := findSocket(sockets, 0x4e1c); ok {
		t.Error("found a port that nobody listens on")
	}
}

func TestFlowCount(t *testing.T) {
	n, err := flowCount([]byte("Ident: none\nFlows: 1000000\nFlows_tcp: 662106\n"))
	if err != nil || n != 1_000_000 {
		t.Errorf("got %d, %v", n, err)
	}
	if _, err := flowCount([]byte("no such file")); err == nil {
		t.Error("took a message for a count")
	}
}

// TestSenderLosesNothing sends far more than fits a small receive buffer to a
// receiver that dawdles.
func TestSenderLosesNothing(t *testing.T) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: localhost.AsSlice()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetReadBuffer(100 << 10); err != nil {
		t.Fatal(err)
	}
	received := make(chan uint64, 1)
	go func() {
		var n uint64
		for buffer := make([]byte, 64<<10); ; n++ {
			if _, _, err := c.ReadFromUDPAddrPort(buffer); err != nil {
				received <- n
				return
			}
			for end := time.Now().Add(20 * time.Microsecond); time.Now().Before(end); {
				continue // busy with the datagram
			}
		}
	}()
	s := sender{port: c.LocalAddr().(*net.UDPAddr).AddrPort().Port(), burst: 8, enough: littleEnough}
	lost, err := s.send(context.Background(), testkit.Data(t, "traffic/internet_morning.pcap.gz"))
	if err != nil || lost > 0 {
		t.Errorf("lost %d datagrams, error %v", lost, err)
	}
	c.Close()
	if n := <-received; n != s.sent || n == 0 {
		t.Errorf("sent %d datagrams, received %d", s.sent, n)
	}
}

// TestRuns: datagrams that go out together arrive one by one, as they were.
func TestRuns(t *testing.T) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	to := c.LocalAddr().(*net.UDPAddr)
	var conns [2]*net.UDPConn
	for i := range conns {
		if conns[i], err = net.DialUDP("udp4", nil, to); err != nil {
			t.Fatal(err)
		}
		defer conns[i].Close()
	}
	var r run
	calls := 0
	send := func() {
		if err := r.send(); err != nil {
			t.Fatal(err)
		}
		calls++
	}
	var want []string
	for i, length := range []int{100, 100, 100, 40, 40, 50, 50, 0, 50, 50, 1400, 1400, 40_000, 40_000, 1, 1} {
		payload := bytes.Repeat([]byte{byte(i)}, length)
		conn := conns[i/14]
		if !r.add(conn, payload) {
			send()
			r.add(conn, payload)
		}
		want = append(want, fmt.Sprint(conn.LocalAddr(), payload))
	}
	send()
	for i := range want {
		buffer := make([]byte, 64<<10)
		n, from, err := c.ReadFromUDP(buffer)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(from, buffer[:n]); got != want[i] {
			t.Errorf("datagram %d: got %.60s of %d bytes, want %.60s", i, got, n, want[i])
		}
	}
	if calls != 9 {
		t.Errorf("%d datagrams took %d calls, want 9", len(want), calls)
	}
}

// TestCostOfAProcess measures a process that is known to use some of both.
func TestCostOfAProcess(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh")
	}
	b := &bench{options: &options{}, dir: t.TempDir()}
	c, err := b.finish(context.Background(), b.foreign("loop", shell, "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"))
	if err != nil {
		t.Fatal(err)
	}
	if c.user <= 0 || c.rss <= 0 || c.rss > 64<<20 {
		t.Errorf("a loop in a shell cost %+v", c)
	}
	_, err = b.finish(context.Background(), b.foreign("failure", shell, "-c", "echo out of luck >&2; exit 3"))
	if err == nil || !strings.Contains(err.Error(), "out of luck") {
		t.Errorf("the last words of a process that failed are not in its error: %v", err)
	}
}

// TestInterrupted ends what was started.
func TestInterrupted(t *testing.T) {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip("there is no sleep")
	}
	b := &bench{options: &options{}, dir: t.TempDir()}
	p := b.foreign("sleep", sleep, "1000")
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.wait(ctx); err == nil {
		t.Error("an interruption went unnoticed")
	}
	if _, err := os.Stat(filepath.Join("/proc", "self")); err == nil && peakRSS(p.cmd.Process.Pid) != 0 {
		t.Error("the process lives on")
	}
}

func TestSettingsStayOutside(t *testing.T) {
	got := withoutSettings([]string{"PATH=/bin", "FLOWLEDGER_KAFKA_BROKERS=kafka:9092", "FLOWLEDGER_CACHE=/cache"})
	if diff := cmp.Diff([]string{"PATH=/bin", "FLOWLEDGER_CACHE=/cache"}, got); diff != "" {
		t.Errorf("(-want, +got)\n%s", diff)
	}
}

// TestDecode: what is measured in this process is the capture's records, and costs.
func TestDecode(t *testing.T) {
	path := testkit.Data(t, "traffic/internet_morning.pcap.gz")
	c, err := decode(path)
	if err != nil || c.cpu() <= 0 {
		t.Errorf("decoding cost %+v, %v", c, err)
	}
	in, err := (&bench{}).look("x", path)
	if err != nil || in.DataRecords != 36_287 || in.Datagrams != 14_287 {
		t.Errorf("found %+v, %v", in, err)
	}
}
