package vpc

import (
	"encoding/json"
	"regexp"
)

// envelope is what AWS puts lines into where they do not come as files: Firehose a
// line, as {"message": …}; CloudWatch, where a filter subscribes to a log group,
// some of a log stream's (page "Real-time processing of log data with
// subscriptions"). Its messageType is CONTROL_MESSAGE where it only looks whether
// anybody listens.
type envelope struct {
	Message     *string `json:"message"`
	MessageType string  `json:"messageType"`
	LogEvents   []struct {
		Message string `json:"message"`
	} `json:"logEvents"`
}

// Lines hands on what a line of a file stands for: the lines in it where it is an
// envelope of CloudWatch's or Firehose's, else itself.
func Lines(line []byte, take func([]byte) error) error {
	var e envelope
	if text := trim(line); len(text) == 0 || text[0] != '{' || json.Unmarshal(text, &e) != nil {
		return take(line)
	}
	switch {
	case e.MessageType == "CONTROL_MESSAGE":
		return nil
	case e.MessageType == "DATA_MESSAGE":
		for i := range e.LogEvents {
			if err := take([]byte(e.LogEvents[i].Message)); err != nil {
				return err
			}
		}
		return nil
	case e.Message != nil:
		return take([]byte(*e.Message))
	}
	return take(line)
}

// messages are the texts of envelopes in the beginning of a file, which need not
// hold a whole one. No line of a flow log has a quote in it, or what JSON escapes.
var messages = regexp.MustCompile(`"message"\s*:\s*"([^"\\]*)`)
