package normalize

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// later marks a time that may be up to a second later: it is told in relation to a
// header's time of whole seconds, of which several headers tell more.
const later = "+1s"

// times takes absolute times, else those since the exporter's start.
func (j *judge) times(r *dissectedRecord, w map[string]string) {
	start, end := tsharkTime(r.first("abstimestart")), tsharkTime(r.first("abstimeend"))
	mark := ""
	uptime := func(at *time.Time, show string) {
		if show == "" || at.Unix() > 0 {
			return
		}
		*at = j.uptime(r, show)
		if j.header["version"] == "9" {
			mark = later
		}
	}
	from := r.first("timestart")
	if start.Unix() == 0 && r.first("timeend") != "" { // tshark takes an uptime of 0 for the epoch
		from = "0.0"
	}
	uptime(&start, from)
	uptime(&end, r.first("timeend"))
	if end.IsZero() { // of a firewall: when it told of the event
		end = tsharkTime(r.first("observation_time_milliseconds"))
	}
	if start.IsZero() || end.IsZero() {
		return
	}
	w["time_flow_start"], w["time_flow_end"] = start.Format(time.RFC3339Nano)+mark, end.Format(time.RFC3339Nano)+mark
	w["duration"] = end.Sub(start).String()
}

func tsharkTime(show string) time.Time {
	at, err := time.Parse("Jan _2, 2006 15:04:05.999999999 UTC", show)
	if err != nil {
		return time.Time{}
	}
	// It cuts binary fractions of a second, which are microseconds (RFC 7011 §6.1.9), off.
	return at.Round(10 * time.Nanosecond)
}

// uptime is when the uptime was what it was: by the header's uptime and time of day,
// by the record's time of start, by the domain's.
func (j *judge) uptime(r *dissectedRecord, show string) time.Time {
	at := time.Duration(millis(show)) * time.Millisecond
	if up := j.header["sysuptime"]; up != "" { // of 32 bits, which wrap
		ago := int32(uint32(millis(up)) - uint32(millis(show)))
		return tsharkTime(j.header["timestamp"]).Truncate(time.Millisecond).Add(-time.Duration(ago) * time.Millisecond)
	}
	if boot := tsharkTime(r.first("sys_init_time")); !boot.IsZero() {
		return boot.Add(at)
	}
	return j.boots[j.domain].Add(at)
}

// millis reads seconds with a fraction.
func millis(show string) int64 {
	whole, fraction, _ := strings.Cut(show, ".")
	n, err := strconv.ParseInt(whole+(fraction + "000")[:3], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// sampling takes the rate: the record's, its sampler's, the header's.
func (j *judge) sampling(r *dissectedRecord, w map[string]string) {
	rate := r.first("sampling_interval")
	for _, name := range []string{"sampler_id", "selector_id"} {
		if id := r.first(name); rate == "" && id != "" {
			rate = j.rates[[2]string{j.domain, id}]
		}
	}
	if rate == "" {
		rate = j.rates[[2]string{j.domain, ""}]
	}
	if rate == "" {
		rate = decimalOf(j.header["samplerate"])
	}
	w["sampling_rate"] = rate
}

// options takes in what an options record says of samplers and applications.
func (j *judge) options(r *dissectedRecord) {
	rate := r.first("sampler_random_interval")
	if rate == "" {
		rate = r.first("sampling_interval")
	}
	number := func(name string) uint64 { n, _ := strconv.ParseUint(r.first(name), 10, 64); return n }
	switch taken, size := number("sampling_packet_interval"), number("sampling_size"); {
	case rate != "":
	case r.first("selector_algorithm") == "3" && size > 0: // random n of N
		rate = strconv.FormatUint(number("sampling_population")/size, 10)
	case taken > 0:
		rate = strconv.FormatUint((taken+number("sampling_packet_space"))/taken, 10)
	}
	id := r.first("sampler_id")
	if id == "" {
		id = r.first("selector_id")
	}
	if rate != "" {
		j.rates[[2]string{j.domain, plain(id)}] = rate
	}
	if boot := tsharkTime(r.first("sys_init_time")); !boot.IsZero() {
		j.boots[j.domain], j.told[j.domain] = boot, true
	}
	if n, err := strconv.ParseUint(strings.ReplaceAll(r.first("appl_id.selector_id"), ":", ""), 16, 64); err == nil {
		j.names[fmt.Sprintf("%s:%d", r.first("appl_id.classification_engine_id"), n)] = r.first("appl_name")
	}
}
