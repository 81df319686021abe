package pipeline

import (
	"errors"
	"io"

	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/internal/capture"
)

// AsReceived is a captured datagram as ingest takes it: received when it was captured.
func AsReceived(d *capture.Datagram) normalize.Datagram {
	return normalize.Datagram{Exporter: d.Src.Addr(), Port: d.Src.Port(), ReceivedNs: d.Time, Payload: d.Payload, Session: d.Session}
}

// ReadCapture hands every datagram of a capture to take, in order of time. It ends
// with the first error.
func ReadCapture(path string, take func(normalize.Datagram)) error {
	r, err := capture.Open([]string{path}, capture.Options{})
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		d, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		take(AsReceived(&d))
	}
}
