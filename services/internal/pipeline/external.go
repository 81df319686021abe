package pipeline

import (
	"github.com/flowledger/flowledger/services/ingest/normalize"
)

// External takes in what another reader than the normalizer makes of something
// received at a time, such as a line of a log: fill adds it to the result. Times
// must not fall, those of datagrams among them.
func (p *Pipeline) External(receivedNs uint64, fill func(*normalize.Result)) {
	p.reach(receivedNs)
	fill(&p.result)
}
