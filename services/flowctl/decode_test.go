package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/stage"
)

func TestDecoder(t *testing.T) {
	two := flow.AppendDelimited(nil, &flowv1.Activity{Realm: 1})
	two = flow.AppendDelimited(two, &flowv1.Activity{Realm: 2})
	at := time.Unix(1_700_000_000, 0)
	message := func(topic string, value []byte) *stage.Message {
		return &stage.Message{Topic: topic, Partition: 1, Offset: 2, Time: at, Value: value, Count: 1, Headers: map[string]string{"tick": "7", "source": "x"}}
	}
	const shell = `{"topic":"%T","partition":1,"offset":2,"time":"2023-11-14T22:13:20.000000000Z","records":1,"bytes":%N,"headers":{"source":"x","tick":"7"}%V}`
	shown := func(topic, n, value string) string {
		return strings.NewReplacer("%T", topic, "%N", n, "%V", value).Replace(shell)
	}
	tests := []struct {
		name     string
		topic    string
		value    []byte
		messages bool
		want     []string
	}{
		{"a batch", "activity", two, false, []string{`{"realm":1}`, `{"realm":2}`}},
		{"an empty batch", "activity", nil, false, nil},
		{"an empty batch as a message", "activity", nil, true, []string{shown("activity", "0", "")}},
		{"a broken batch", "activity", two[:len(two)-1], false, []string{`{"realm":1}`, shown("activity", "5", "")}},
		{"an alert", "alerts", []byte(`{"a":1}`), false, []string{`{"a":1}`}},
		{"a broken alert", "alerts", []byte(`{"a":`), false, []string{shown("alerts", "5", "")}},
		{"a dead letter", "flows.dead", []byte{0, 9}, false, []string{shown("flows.dead", "2", `,"value":"0009"`)}},
		{"a snapshot", "state.dedup", []byte{0, 9}, false, []string{shown("state.dedup", "2", "")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := decoder{topic: tt.topic, messages: tt.messages}
			var got []string
			for _, l := range d.lines(message(tt.topic, tt.value)) {
				if !json.Valid(l.text) || l.time != at {
					t.Errorf("not JSON, or at another time: %s", l.text)
				}
				got = append(got, strings.TrimSuffix(string(l.text), "\n"))
			}
			if diff := cmp.Diff(got, tt.want); diff != "" {
				t.Errorf("(-got, +want)\n%s", diff)
			}
		})
	}
}

// TestEveryTopicIsDecoded wants a record type for every topic of batches.
func TestEveryTopicIsDecoded(t *testing.T) {
	for _, topic := range stage.Catalogue() {
		if !topic.Plain && recordOf(topic.Name) == nil {
			t.Errorf("%s holds batches of what?", topic.Name)
		}
	}
}
