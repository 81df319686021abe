package main

import (
	"encoding/json"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/jsonline"
	"github.com/flowledger/flowledger/services/internal/stage"
)

// line is one line of output and the time of the message it is from.
type line struct {
	time time.Time
	text []byte
}

// decoder makes JSON lines of the messages of one topic.
type decoder struct {
	topic    string
	messages bool
	json     jsonline.Printer
}

// recordOf is an empty record of a topic of batches; nil for other topics.
func recordOf(topic string) proto.Message {
	switch topic {
	case stage.FlowsRaw, stage.FlowsDeduped:
		return &flowv1.Flow{}
	case stage.Biflows:
		return &flowv1.Biflow{}
	case stage.Activity:
		return &flowv1.Activity{}
	case stage.Events:
		return &flowv1.Event{}
	case stage.DNS:
		return &flowv1.Dns{}
	case stage.Exporters:
		return &flowv1.ExporterFact{}
	case stage.Policy:
		return &flowv1.Policy{}
	}
	return nil
}

// lines are the records of a message, or the message itself, each with a line end.
func (d *decoder) lines(m *stage.Message) []line {
	record := recordOf(d.topic)
	switch {
	case d.messages, record == nil && d.topic != stage.Alerts:
		if len(m.Value) == 0 && !d.messages {
			return nil
		}
		return []line{{m.Time, d.message(m)}}
	case d.topic == stage.Alerts:
		if !json.Valid(m.Value) {
			return d.broken(m)
		}
		return []line{{m.Time, append(append([]byte(nil), m.Value...), '\n')}}
	}
	return d.batch(m, record)
}

// batch takes a batch apart.
func (d *decoder) batch(m *stage.Message, record proto.Message) []line {
	var out []line
	for rest := m.Value; len(rest) > 0; {
		var one []byte
		var err error
		if one, rest, err = flow.Next(rest); err == nil {
			err = proto.Unmarshal(one, record)
		}
		if err != nil {
			return append(out, d.broken(m)...)
		}
		out = append(out, line{m.Time, append(d.json.Append(nil, record), '\n')})
	}
	return out
}

// broken shows a message that is not what its topic promises.
func (d *decoder) broken(m *stage.Message) []line {
	return []line{{m.Time, d.message(m)}}
}

// message shows a message as Kafka has it. Its value is shown where no decoder
// knows it, in hexadecimal.
func (d *decoder) message(m *stage.Message) []byte {
	b := append([]byte(nil), `{"topic":`...)
	b = jsonline.AppendString(b, m.Topic)
	number := func(key string, n int64) {
		b = append(b, ',', '"')
		b = append(b, key...)
		b = append(b, '"', ':')
		b = strconv.AppendInt(b, n, 10)
	}
	number("partition", int64(m.Partition))
	number("offset", m.Offset)
	b = append(b, `,"time":`...)
	b = jsonline.AppendTime(b, uint64(max(0, m.Time.UnixNano())))
	number("records", int64(m.Count))
	number("bytes", int64(len(m.Value)))
	if len(m.Key) > 0 {
		b = append(b, `,"key":`...)
		b = jsonline.AppendString(b, string(m.Key))
	}
	b = append(b, `,"headers":`...)
	headers, err := json.Marshal(m.Headers) // in the order of the keys
	if err != nil {
		panic("BUG: cannot marshal a map of strings: " + err.Error())
	}
	b = append(b, headers...)
	if recordOf(d.topic) == nil && d.topic != stage.Alerts && !isState(d.topic) {
		b = append(b, `,"value":`...)
		b = jsonline.AppendHex(b, m.Value)
	}
	return append(b, '}', '\n')
}

func isState(topic string) bool {
	return len(topic) > 6 && topic[:6] == "state."
}
