package stage

import (
	"slices"

	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// PolicyCore is a core that goes by the policy (Spec.Policy).
type PolicyCore interface {
	Core
	// Policy replaces the policy that holds by one record of topic policy, as it is on
	// the wire. It is called before the first tick for which that holds, and again
	// after Restore. An error says that the core cannot go by it, and changes nothing.
	Policy(raw []byte) error
}

// policies follows the topic of policies, a single log that every partition of a
// stage needs whole:
//
//	log ─▶ ahead, each from a tick of its own ─▶ in force ─▶ PolicyCore.Policy
//
// The last one in the log counts: it displaces those that begin when it does, or
// later. From which tick a policy holds is a function of its message alone, and lies
// ahead when that is written; so whoever releases a tick only has to have read the
// log to its end after records of about that time were there. See docs/adr/0008.
type policies struct {
	core PolicyCore
	// next is the offset to read next, newest the last version that was read.
	next, newest int64
	// known is the newest tick for which all policies have been read. It is not part
	// of a snapshot: it is found out anew.
	known eventtime.Tick
	// force is the policy that holds, of version 0 where none does.
	force heldPolicy
	// ahead are those that do not hold yet, by tick, rising.
	ahead []heldPolicy
	// refused is the version of the last policy that the core refused, refusal why.
	refused int64
	refusal error
}

// heldPolicy is a policy and the tick from which it holds.
type heldPolicy struct {
	version int64
	from    eventtime.Tick
	raw     []byte
}

const (
	// policySource is the source of all policies. Their numbers are their versions,
	// less one: of two that were written for the same version the first counts.
	policySource = "flowctl"
	// policyLead is by how many ticks (10 s) a policy is written, by the broker's
	// clock, before it holds; the clocks of what writes ticks are closer to that.
	policyLead eventtime.Tick = 20
	// policyAhead is for how many ticks (5 s) beyond those that sources have written the
	// policies are known: of what is written later none holds within the lead, of which
	// the clocks of sources may use the other half.
	policyAhead = policyLead / 2
)

// readPolicy is the policy that a message is.
func readPolicy(m *message) (heldPolicy, bool) {
	if m.err != nil || m.source != policySource || m.count != 1 {
		return heldPolicy{}, false
	}
	raw, _, err := flow.Next(m.value)
	if err != nil {
		panic("BUG: a batch that was counted has no record: " + err.Error())
	}
	return heldPolicy{m.seq + 1, policyFrom(m), raw}, true
}

// policyFrom is the tick from which a policy holds: its own, unless that was near or
// past when it was written. Tick 0 is for timelines that have not begun.
func policyFrom(m *message) eventtime.Tick {
	if m.tick == 0 {
		return 0
	}
	return max(m.tick, leastPolicyFrom(m))
}

// leastPolicyFrom is the earliest tick from which a policy that was written when the message
// was may hold.
func leastPolicyFrom(m *message) eventtime.Tick {
	return eventtime.TickOf(uint64(max(0, m.time.UnixNano()))) + policyLead
}

func newPolicies(core PolicyCore) *policies { return &policies{core: core, known: beforeAll} }

// accept takes the next message of the log, when last is the newest tick that was
// released. It tells whether that is a policy.
func (p *policies) accept(m *message, last eventtime.Tick, t *tally) bool {
	p.next = m.next()
	h, ok := readPolicy(m)
	switch {
	case !ok:
		t.malformed++
		return false
	case h.version <= p.newest:
		t.duplicates++
		return true
	}
	if h.from <= last { // only where the stage did not read policies before
		h.from = last + 1
		t.late++
	}
	t.records++
	p.newest = h.version
	p.ahead = slices.DeleteFunc(p.ahead, func(o heldPolicy) bool { return o.from >= h.from })
	p.ahead = append(p.ahead, h)
	return true
}

// read notes that the log was read to its end after all sources had passed a tick.
func (p *policies) read(passed eventtime.Tick) {
	p.known = passed
	if passed != beforeAll && passed != eventtime.Never {
		p.known += policyAhead
	}
}

// enforce hands the core what holds from a tick on.
func (p *policies) enforce(tick eventtime.Tick, t *tally) {
	for len(p.ahead) > 0 && p.ahead[0].from <= tick {
		h := p.ahead[0]
		p.ahead = slices.Delete(p.ahead, 0, 1)
		if p.hand(h, t) {
			p.force = h
		}
	}
}

func (p *policies) hand(h heldPolicy, t *tally) bool {
	err := p.core.Policy(h.raw)
	if err != nil {
		p.refused, p.refusal = h.version, err
		t.refused++
	}
	return err == nil
}

func (p *policies) append(b []byte) []byte {
	b = appendInt(b, p.next)
	b = appendInt(b, p.newest)
	b = p.force.append(b)
	b = appendLen(b, len(p.ahead))
	for i := range p.ahead {
		b = p.ahead[i].append(b)
	}
	return b
}

// restore reads what append wrote; reinstate follows when the core is there.
func (p *policies) restore(d *decoder) {
	p.next, p.newest = d.int(), d.int()
	p.force.restore(d)
	for n := d.len(); n > 0 && d.err == nil; n-- {
		var h heldPolicy
		h.restore(d)
		if k := len(p.ahead); k > 0 && h.from <= p.ahead[k-1].from {
			d.fail()
		}
		p.ahead = append(p.ahead, h)
	}
	if p.next < 0 || p.newest < 0 {
		d.fail()
	}
}

// reinstate hands a restored core the policy that holds.
func (p *policies) reinstate(t *tally) {
	if p.force.version > 0 {
		p.hand(p.force, t)
	}
}

func (h *heldPolicy) append(b []byte) []byte {
	b = appendInt(b, h.version)
	b = appendTick(b, h.from)
	return appendBytes(b, h.raw)
}

func (h *heldPolicy) restore(d *decoder) {
	h.version, h.from, h.raw = d.int(), d.tick(), d.bytes()
	if h.version < 0 {
		d.fail()
	}
}
