package normalize

// granted is how many entries of a kind every exporter may keep, whatever others keep:
// options, connections, and fields of templates; domains and templates are larger.
const (
	granted          = 256
	grantedDomains   = 4
	grantedTemplates = 16
)

// budget bounds how many entries of a kind all exporters keep together, beside what is
// granted: bounds for each alone are none where their addresses can be forged.
type budget struct{ used, limit int }

// allows tells whether an exporter that keeps so many may keep one more.
func (b *budget) allows(own int) bool { return own < granted || b.used < b.limit }

// minutely counts what an exporter does within a minute.
type minutely struct {
	minute uint64
	n      int
}

// count counts one more, and tells how many there are in the minute of nowNs.
func (c *minutely) count(nowNs uint64) int {
	if minute := nowNs / (60 * nsPerS); c.minute != minute {
		*c = minutely{minute: minute}
	}
	c.n++
	return c.n
}

// roomForOption tells whether an exporter that keeps so many samplers, elements or sources
// of samples may keep one more.
func (n *Normalizer) roomForOption(own int) bool {
	return own < n.cfg.MaxOptionsEntries && n.options.allows(own)
}
