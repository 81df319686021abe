package rule

import "github.com/flowledger/flowledger/services/internal/eventtime"

// OCSF's activity_id of a finding.
const (
	activityCreate = iota + 1
	activityUpdate
	activityClose
)

// begin opens an episode of a client at the present tick.
func (s *Set) begin(c *client, id ruleID) *episode {
	e := &episode{rule: id, opened: s.now, active: s.now}
	e.targets.byAddr = id == addressScanID
	c.episodes[id] = e
	return e
}

// decide tells of each episode what there is to tell at the present tick, and
// closes those that went quiet or fell apart.
func (s *Set) decide(c *client) {
	for id := len(c.episodes) - 1; id >= 0; id-- {
		if e := c.episodes[id]; e != nil {
			s.decideOne(c, e)
		}
	}
}

func (s *Set) decideOne(c *client, e *episode) {
	r := s.rules[e.rule]
	ready := r.judge(s, c, e)
	_, _, all := e.counts()
	switch {
	case e.takenBack(), e.announced && all == 0:
		s.close(c, e, closedTakenBack)
		return
	case !e.announced:
		if ready {
			s.announce(c, e)
		}
	case e.severity > e.toldLevel, e.grown(all) && s.now >= e.told.After(s.cfg.UpdateEvery):
		s.tell(c, e, activityUpdate, "")
	}
	if c.episodes[e.rule] == e && s.now >= e.active.After(r.common().Quiet) {
		s.close(c, e, closedQuiet)
	}
}

// announce tells of an episode for the first time, or drops it if nothing is left of it.
func (s *Set) announce(c *client, e *episode) {
	if e.announced {
		return
	}
	if _, _, all := e.counts(); all == 0 {
		c.episodes[e.rule] = nil
		return
	}
	s.tell(c, e, activityCreate, "")
	e.announced = true
}

// close ends an episode, and says so if it was told of.
func (s *Set) close(c *client, e *episode, reason string) {
	if e.announced {
		s.tell(c, e, activityClose, reason)
	}
	c.episodes[e.rule] = nil
	s.dropWindows(c, func(w *window) bool { return w.hot && ruleOf(w.scope.kind) == e.rule })
}

// tell puts a finding into the tick's alerts.
func (s *Set) tell(c *client, e *episode, activity int, reason string) {
	_, _, all := e.counts()
	e.emissions++
	s.alerts = append(s.alerts, Alert{
		Host:  c.subject.addr,
		UID:   e.uid,
		JSON:  s.finding(c, e, activity, reason),
		realm: c.subject.realm,
	})
	e.told, e.toldCount, e.toldLevel = s.now, all, max(e.toldLevel, e.severity)
}

// due is the next tick at which an episode has something to say by itself.
func (s *Set) due(e *episode) eventtime.Tick {
	r := s.rules[e.rule]
	due := e.active.After(r.common().Quiet)
	if !e.announced {
		return min(due, r.firstDue(e))
	}
	if _, _, all := e.counts(); e.grown(all) {
		due = min(due, e.told.After(s.cfg.UpdateEvery))
	}
	return due
}
