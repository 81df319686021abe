package rule

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Reference is the page docs/reference/rules.md: what every rule says of
// itself, and the keys and defaults of the configuration.
func Reference() string {
	var b strings.Builder
	b.WriteString(referenceHead)
	cfg := Default()
	s, err := New(cfg)
	if err != nil {
		panic("BUG: the default configuration is refused: " + err.Error())
	}
	for _, r := range s.rules {
		r.info().write(&b)
		writeKeys(&b, "detect."+r.info().Name, section(reflect.ValueOf(cfg), r.info().Name))
	}
	b.WriteString("\n## Keys of all rules\n")
	writeKeys(&b, "detect", reflect.ValueOf(cfg))
	return b.String()
}

const referenceHead = `# Detection rules

<!-- Written by services/detect/rule (Reference); go test ./detect/rule -rewrite renews it. -->

A rule reads every version of every biflow, client by client. A flow counts as failed when stitch calls it
unanswered, rejected, half open or denied; never when its way back may not be observable. Each target is judged by the
newest flow to it, so a flow that was first unanswered and is later established is taken back. Both directions of a
conversation are reported one after the other: an unanswered UDP or ICMP flow counts only once it is closed or has waited
` + "`settle`" + `; a TCP client that acknowledged something was answered, whatever has been reported. Windows are measured in
event time (when flows started); findings are told when a threshold is reached, told again when their count has doubled
(at most every ` + "`update_every`" + `) or their severity has risen, and closed when they went ` + "`quiet`" + `, when
too many failures were taken back, or at the end of the input. Every message is an OCSF 1.5.0 Detection Finding;
` + "`finding_info.uid`" + ` names the finding, ` + "`unmapped.hunt_sql`" + ` shows its flows in the ledger,
` + "`unmapped.close_reason`" + ` says why it was closed. Beyond 1,024 targets counts are estimates (` + "`unmapped.estimated`" + `).
`

func (i *Info) write(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s (`%s`)\n\n%s\n\n", i.Title, i.Name, i.What)
	fmt.Fprintf(b, "- **Why:** %s\n- **Not told:** %s\n- **Finding for:** %s.\n- **Remembers:** %s\n- **ATT&CK:** ", i.Why, i.Not, i.Subject, i.State)
	for n, a := range i.Attacks {
		if n > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(b, "%s %s (%s)", a.ID(), a.Name(), a.Tactic)
	}
	b.WriteString("\n")
}

// section finds the struct under a YAML key.
func section(v reflect.Value, key string) reflect.Value {
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("yaml") == key {
			return v.Field(i)
		}
	}
	panic("BUG: there is no section " + key)
}

func writeKeys(b *strings.Builder, path string, v reflect.Value) {
	fmt.Fprintf(b, "\n| `%s.` | default | |\n|---|---|---|\n", path)
	writeRows(b, "", v)
}

// writeRows writes a row per key. Sections of rules are left to the rules.
func writeRows(b *strings.Builder, prefix string, v reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		key, inline := strings.CutSuffix(f.Tag.Get("yaml"), ",inline")
		switch value := v.Field(i); {
		case inline:
			writeRows(b, prefix, value)
		case f.Type == reflect.TypeFor[Networks]():
			writeRows(b, prefix+key+".", value)
		case hasCommon(f.Type):
		default:
			fmt.Fprintf(b, "| `%s` | %s | %s |\n", prefix+key, defaultText(value), f.Tag.Get("doc"))
		}
	}
}

func hasCommon(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	_, has := t.FieldByName("Common")
	return has
}

func defaultText(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case Threshold:
		if x.Count == 0 {
			return "off"
		}
		return fmt.Sprintf("count: %d, within: %s", x.Count, shortDuration(x.Within))
	case time.Duration:
		return shortDuration(x)
	case encoding.TextMarshaler:
		text, _ := x.MarshalText()
		return string(text)
	}
	if v.Kind() != reflect.Slice {
		return fmt.Sprint(v.Interface())
	}
	words := make([]string, v.Len())
	for i := range words {
		words[i] = defaultText(v.Index(i))
	}
	return "[" + strings.Join(words, ", ") + "]"
}

// shortDuration leaves out the zero parts: 5m, not 5m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
