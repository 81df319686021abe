package dispatch

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/stage"
)

// list is a sink that writes down what it is given.
type list struct {
	said []string
	full int // refuse when that much has been said; 0 is never
}

var errFull = errors.New("full")

func (l *list) Partitions(topic int) int { return []int{4, 2, 2, 2, 2}[topic] }

func (l *list) say(format string, args ...any) error {
	if l.full > 0 && len(l.said) == l.full {
		return errFull
	}
	l.said = append(l.said, fmt.Sprintf(format, args...))
	return nil
}

func (l *list) Append(topic, partition int, m flow.Message) error {
	return l.say("%s/%d %T", Topics()[topic], partition, m)
}

func (l *list) AppendMessage(topic, partition int, key, value []byte, headers ...stage.Header) error {
	return l.say("%s/%d %q %q %v", Topics()[topic], partition, key, value, headers)
}

func TestSend(t *testing.T) {
	exporter := netip.MustParseAddr("192.0.2.1")
	there := &flowv1.Flow{SrcAddr: []byte{10, 0, 0, 1}, DstAddr: []byte{10, 0, 0, 2}, SrcPort: 4000, DstPort: 80, Proto: 6}
	back := &flowv1.Flow{SrcAddr: there.DstAddr, DstAddr: there.SrcAddr, SrcPort: 80, DstPort: 4000, Proto: 6}
	at := exporter.AsSlice()
	r := &normalize.Result{
		Encoded: []flow.Encoded{{Hash: 7}},
		Flows:   []*flowv1.Flow{there, back},
		Events:  []*flowv1.Event{{SamplerAddress: at}},
		Facts:   []*flowv1.ExporterFact{{SamplerAddress: at}},
		Dns:     []*flowv1.Dns{{SamplerAddress: at}},
		Dead:    []normalize.DeadLetter{{Reason: "short_header", Bytes: []byte{1, 2}, Exporter: exporter, ReceivedNs: 7}},
	}
	got := &list{}
	if err := Send(r, got); err != nil {
		t.Fatal(err)
	}
	conversation := flow.Partition(flow.ConversationHash(there), 4)
	home := flow.Partition(flow.ExporterHash(at), 2)
	want := []string{
		"flows.raw/3 *flow.Encoded",
		fmt.Sprintf("flows.raw/%d *flow.Fresh", conversation),
		fmt.Sprintf("flows.raw/%d *flow.Fresh", conversation),
		fmt.Sprintf("events/%d *flowv1.Event", home),
		fmt.Sprintf("exporters/%d *flowv1.ExporterFact", home),
		fmt.Sprintf("dns/%d *flowv1.Dns", home),
		fmt.Sprintf(`flows.dead/%d "" "\x01\x02" [{reason short_header} {sampler_address 192.0.2.1} {time_received_ns 7}]`, home),
	}
	if diff := cmp.Diff(got.said, want); diff != "" {
		t.Errorf("(-got, +want)\n%s", diff)
	}
	for n := 1; n < len(want); n++ {
		short := &list{full: n}
		if err := Send(r, short); !errors.Is(err, errFull) || !slices.Equal(short.said, want[:n]) {
			t.Errorf("full after %d: got %v, %v", n, short.said, err)
		}
	}
}

func TestTopicsAreInTheCatalogue(t *testing.T) {
	for _, name := range Topics() {
		if _, ok := stage.TopicNamed(name); !ok {
			t.Errorf("%s is in no catalogue", name)
		}
	}
}
