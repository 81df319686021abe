package stage

// askPolicies has the policies read to their end where ticks wait that are further on
// than they were known when that was done last: one request that the broker answers at
// once, every five seconds of the stream, and none while nothing moves.
func (w *worker) askPolicies() {
	if w.engine.policies == nil || w.asking {
		return
	}
	if passed := w.engine.passed(false); passed > w.engine.known() {
		w.asked, w.asking = passed, true
		w.ask <- struct{}{}
	}
}

// takePolicies hands what was read of the policies to the engine.
func (w *worker) takePolicies(c chunk) {
	p := w.engine.policies
	if c.gap > 0 {
		w.lostOffsets(Policy, 0, p.next, c.gap)
		p.next += c.gap
	}
	for i := range c.messages {
		w.changed = true
		w.engine.acceptPolicy(&c.messages[i])
	}
	if p.next < c.end {
		w.ask <- struct{}{}
		return
	}
	p.read(w.asked)
	w.asking = false
}

// observePolicy tells which policy holds, and which cannot.
func (w *worker) observePolicy(refused int64) {
	p := w.engine.policies
	if p == nil {
		return
	}
	if refused > 0 {
		w.log.Error("a policy cannot be gone by and is passed over", "version", p.refused, "error", p.refusal)
	}
	if p.force.version != w.policyVersion {
		w.policyVersion = p.force.version
		w.log.Info("another policy holds", "version", w.policyVersion, "tick", p.force.from)
	}
	w.metrics.policyVersion.WithLabelValues(partitionLabel(w.plan.partition)).Set(float64(w.policyVersion))
}
