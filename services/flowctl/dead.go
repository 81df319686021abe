package main

import (
	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/internal/jsonline"
)

// appendDead appends a dead letter as JSON: when, from whom, why, and the bytes
// as they came, in hexadecimal.
func appendDead(dst []byte, d *normalize.DeadLetter) []byte {
	dst = append(dst, `{"time_received":`...)
	dst = jsonline.AppendTime(dst, d.ReceivedNs)
	dst = append(dst, `,"sampler_address":`...)
	dst = jsonline.AppendAddr(dst, d.Exporter.AsSlice())
	dst = append(dst, `,"reason":`...)
	dst = jsonline.AppendString(dst, d.Reason)
	dst = append(dst, `,"bytes":`...)
	dst = jsonline.AppendHex(dst, d.Bytes)
	return append(dst, '}')
}
