package vpc

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLines: envelopes are the lines in them; what is none stays as it is.
func TestLines(t *testing.T) {
	f := func(in string, want ...string) {
		t.Helper()
		var got []string
		if err := Lines([]byte(in), func(line []byte) error { got = append(got, string(line)); return nil }); err != nil {
			t.Error(err)
		}
		if d := cmp.Diff(got, want); d != "" {
			t.Errorf("%s (-got, +want)\n%s", in, d)
		}
	}
	f(ok2, ok2)
	f("", "")
	f(`{"message":"`+ok2+`"}`, ok2)
	f("\ufeff"+` {"message" : "`+ok2+`\n"} `, ok2+"\n")
	f(`{"messageType":"DATA_MESSAGE","logGroup":"g","logEvents":[{"id":"1","timestamp":1,"message":"a"},{"message":"b"}]}`, "a", "b")
	f(`{"messageType":"CONTROL_MESSAGE","logEvents":[{"message":"CWL CONTROL MESSAGE: Checking health of destination Firehose."}]}`)
	for _, other := range []string{`{"message":`, `{"message":7}`, `{"message":null}`, `{"logEvents":[{"message":"a"}]}`, `{"srcaddr":"10.0.0.1"}`, `{"records":[]}`} {
		f(other, other)
	}
}

// TestRecognizeEnvelopes: a file that begins with an envelope of flow logs, though
// cut short, is one; that of another log is none.
func TestRecognizeEnvelopes(t *testing.T) {
	f := func(head string, want bool) {
		t.Helper()
		if got := Recognize(Default(), []byte(head)); got != want {
			t.Errorf("%s: %v, want %v", head, got, want)
		}
	}
	f(`{"message":"`+ok2+`"}{"message":"`, true)
	f(`{"messageType":"CONTROL_MESSAGE","logEvents":[{"message":"CWL CONTROL MESSAGE"}]}{"messageType":"DATA_MESSAGE","logEvents":[{"id":"1","message": "`+ok2+`"},{`, true)
	f(`{"message":"a user has logged in"}`, false)
	f(`{"message":"`+ok2[:40], false)
}
