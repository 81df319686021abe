package normalize

import (
	"slices"
	"strconv"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

const (
	// republishBatch is how many facts are told again per call of Advance, so that
	// they do not all come at once, and republishLooks how many are looked at.
	republishBatch, republishLooks = 512, 4096
	// announcements is how many new templates of an exporter are told of at once in
	// a minute; beyond, an exporter that changes them without end is not quoted, and
	// what stands is told with the facts that are told again.
	announcements = 1024
	// factLifetimeNs is how long a fact that was not heard again is told again.
	factLifetimeNs = maxLifetimeNs
	// refreshAttribute is how a fact about a template says at which interval the
	// exporter sends it, in seconds: whoever learns it needs not find out again.
	refreshAttribute = "templateRefreshInterval"
	// portAttribute is how it says from which port the template came, where other ports
	// have other layouts for its id.
	portAttribute = "templateSourcePort"
)

// notice is a fact that is told again every few minutes, by whoever told it last.
type notice struct {
	dom  *domain
	key  noticeKey
	fact *flowv1.ExporterFact // never changed: results share it
	// template is what the fact is about, if it is one.
	template *template
	// publishedNs is when it was told last, by us or others.
	publishedNs uint64
	gone        bool
}

// noticeKey names what a fact is about, within its domain.
type noticeKey struct {
	kind            flowv1.ExporterFactKind
	id, interfaceID uint64
	optionsTemplate uint16 // where nothing else tells facts apart
}

// announceTemplate tells the others of a template.
func (n *Normalizer) announceTemplate(m *message, t *template, out *Result) {
	fact := templateFact(m.dom, t, m.nextID())
	told := m.exp.announced.count(m.receivedNs) <= announcements
	if told {
		out.Facts = append(out.Facts, fact)
	}
	n.noteTemplate(m.dom, t, fact, m.receivedNs, told)
}

// templateFact makes the fact that tells of a template.
func templateFact(d *domain, t *template, recordID uint64) *flowv1.ExporterFact {
	f := &flowv1.ExporterFact{
		Type: d.key.kind, Kind: flowv1.ExporterFactKind_EXPORTER_FACT_KIND_TEMPLATE,
		SamplerAddress: d.agentWire, ObservationDomainId: d.key.id, TimeReceivedNs: t.lifetime.receivedNs,
		TemplateId: uint32(t.id), Template: t.raw, RecordId: recordID,
	}
	if s := t.lifetime.refreshNs / nsPerS; s > 0 {
		setAttribute(&f.Attributes, refreshAttribute, strconv.FormatUint(s, 10))
	}
	if t.apart {
		setAttribute(&f.Attributes, portAttribute, itoa(int(t.port)))
	}
	return f
}

// noteTemplate has a template told again.
func (n *Normalizer) noteTemplate(d *domain, t *template, fact *flowv1.ExporterFact, nowNs uint64, told bool) {
	if t.notice == nil {
		if t.notice = n.newNotice(d, noticeKey{}, nowNs); t.notice == nil {
			return
		}
		t.notice.template = t
	}
	t.notice.fact, t.notice.publishedNs = fact, nowNs
	if !told {
		t.notice.publishedNs = 0
	}
}

// noticeKeyOf names what a fact is about.
func noticeKeyOf(f *flowv1.ExporterFact, interfaceID uint64) noticeKey {
	key := noticeKey{kind: f.Kind, id: f.Id, interfaceID: interfaceID}
	if f.Kind == flowv1.ExporterFactKind_EXPORTER_FACT_KIND_OTHER {
		key.optionsTemplate = uint16(f.TemplateId)
	}
	return key
}

// note has a fact told again, if it is one that outlasts the moment.
func (n *Normalizer) note(d *domain, fact *flowv1.ExporterFact, interfaceID, nowNs uint64) {
	switch fact.Kind {
	case flowv1.ExporterFactKind_EXPORTER_FACT_KIND_STATISTICS:
		return
	case flowv1.ExporterFactKind_EXPORTER_FACT_KIND_OTHER:
		if fact.Attributes[systemInitAttribute] == "" && fact.Attributes[skewAttribute] == "" {
			return
		}
	}
	key := noticeKeyOf(fact, interfaceID)
	c := d.notices[key]
	if c == nil {
		if d.exp.notices >= n.cfg.MaxOptionsEntries {
			return
		}
		if c = n.newNotice(d, key, nowNs); c == nil {
			return
		}
		if d.notices == nil {
			d.notices = map[noticeKey]*notice{}
		}
		d.notices[key] = c
	}
	if c.fact == nil || c.fact.TimeReceivedNs <= fact.TimeReceivedNs {
		c.fact = fact
	}
	c.publishedNs = nowNs
}

// newNotice begins a notice; nil if there are too many.
func (n *Normalizer) newNotice(d *domain, key noticeKey, nowNs uint64) *notice {
	if !n.notices.allows(d.exp.notices) {
		return nil
	}
	if len(n.noticeList) > 2*n.notices.used+1024 { // most are gone
		n.noticeList = slices.DeleteFunc(n.noticeList, func(c *notice) bool { return c.gone })
	}
	c := &notice{dom: d, key: key, publishedNs: nowNs}
	d.exp.notices++
	n.notices.used++
	n.noticeList = append(n.noticeList, c)
	return c
}

// forgetNotice ends a notice; nil is none.
func (n *Normalizer) forgetNotice(c *notice) {
	if c == nil || c.gone {
		return
	}
	c.gone = true
	c.dom.exp.notices--
	n.notices.used--
	if c.template == nil {
		delete(c.dom.notices, c.key)
	}
	c.template = nil
}

// republish tells facts again that nobody has told for the configured interval,
// until they have expired. It goes round all of them, some at a time.
func (n *Normalizer) republish(nowNs uint64, out *Result) {
	told := 0
	for looked := min(republishLooks, len(n.noticeList)); looked > 0 && told < republishBatch; looked-- {
		if n.noticeHand >= len(n.noticeList) {
			n.noticeHand = 0
		}
		c := n.noticeList[n.noticeHand]
		if c.gone || n.lapsed(c, nowNs) {
			last := len(n.noticeList) - 1
			n.noticeList[n.noticeHand], n.noticeList[last] = n.noticeList[last], nil
			n.noticeList = n.noticeList[:last]
			continue
		}
		n.noticeHand++
		if c.publishedNs+uint64(n.cfg.RepublishInterval) > nowNs {
			continue
		}
		if t := c.template; t != nil {
			if t.lifetime.untilNs < nowNs {
				continue
			}
			c.fact = templateFact(c.dom, t, c.fact.RecordId)
		}
		c.publishedNs = nowNs
		out.Facts = append(out.Facts, c.fact)
		told++
	}
}

// lapsed tells whether a fact is too old to be told again, and forgets it then.
func (n *Normalizer) lapsed(c *notice, nowNs uint64) bool {
	if t := c.template; t != nil {
		if !t.lifetime.outlived(nowNs) {
			return false
		}
		n.forgetTemplate(c.dom.exp, c.dom, t)
		return true
	}
	if c.fact.TimeReceivedNs+factLifetimeNs >= nowNs {
		return false
	}
	n.forgetNotice(c)
	return true
}
