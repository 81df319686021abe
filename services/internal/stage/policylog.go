package stage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// PolicyLog is the topic of policies for those who write it.
type PolicyLog struct {
	topic  string // full name
	client *client
}

// LoggedPolicy is a policy that counts.
type LoggedPolicy struct {
	Version int64
	// From is the tick from which it holds, 0 from the start.
	From    eventtime.Tick
	Written time.Time
	Raw     []byte
}

const (
	// LeastPolicyLead is how far ahead a policy begins at the earliest; what is written
	// for an earlier time begins then.
	LeastPolicyLead = time.Duration(policyLead) * eventtime.TickLength
	// MaxPolicyBytes bounds a policy: it is one message.
	MaxPolicyBytes = requestBytes - 1024
)

// ErrPolicyTaken says that somebody else's policy has got the version.
var ErrPolicyTaken = errors.New("another policy was written at the same time and has got its version")

// NewPolicyLog makes a PolicyLog. Close it when done.
func NewPolicyLog(cfg Config) *PolicyLog {
	return &PolicyLog{topic: cfg.Topic(Policy), client: cfg.client()}
}

// Close gives the connections back.
func (l *PolicyLog) Close() { l.client.close() }

// Read gives the policies that count, by their versions.
func (l *PolicyLog) Read(ctx context.Context) (all []LoggedPolicy, err error) {
	f := fetcher{client: l.client, topic: l.topic}
	first, end, err := l.client.offsets(ctx, l.topic, 0)
	if err != nil {
		return nil, err
	}
	for f.next = first; f.next < end; {
		c, err := f.fetch(ctx)
		if err != nil {
			return nil, err
		}
		for i := range c.messages {
			m := &c.messages[i]
			if h, ok := readPolicy(m); ok && (len(all) == 0 || h.version > all[len(all)-1].Version) {
				all = append(all, LoggedPolicy{h.version, h.from, m.time, h.raw})
			}
		}
	}
	return all, nil
}

// Append writes a policy that begins at a tick, 0 for a timeline that has not begun,
// and says what became of it.
func (l *PolicyLog) Append(ctx context.Context, version int64, from eventtime.Tick, raw []byte) (LoggedPolicy, error) {
	if len(raw) > MaxPolicyBytes {
		return LoggedPolicy{}, fmt.Errorf("the policy has %d bytes, and a message takes %d", len(raw), MaxPolicyBytes)
	}
	if err := l.append(ctx, version, from, raw, time.Now()); err != nil {
		return LoggedPolicy{}, err
	}
	all, err := l.Read(ctx)
	if err != nil {
		return LoggedPolicy{}, err
	}
	for _, p := range all {
		if p.Version == version && string(p.Raw) == string(raw) {
			return p, nil
		}
	}
	return LoggedPolicy{}, ErrPolicyTaken
}

// append writes a policy. That it may be there twice does no harm: the first of a version
// counts.
func (l *PolicyLog) append(ctx context.Context, version int64, from eventtime.Tick, raw []byte, at time.Time) error {
	h := header{seq: version - 1, tick: from}
	_, err := l.client.insist(ctx, l.topic, 0, l.client.compression, appendBytes(nil, raw), h.appendFields(nil, []byte(policySource)), at, slog.New(slog.DiscardHandler))
	return err
}
