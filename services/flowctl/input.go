package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/flowledger/flowledger/services/internal/capture"
)

// input is the captures of a command, and what is said about reading them.
type input struct {
	files  []string
	ports  []uint16
	quiet  bool
	stderr io.Writer
	// stdin is what "-" reads; nil is the process's standard input.
	stdin io.Reader
}

func (in *input) addFlags(c *cobra.Command) {
	c.Flags().Var((*portList)(&in.ports), "port", "take all datagrams to this UDP port, whatever they hold, and IPFIX over TCP to it (may be repeated; default: whatever looks like NetFlow, IPFIX or sFlow, on any port)")
	c.Flags().BoolVarP(&in.quiet, "quiet", "q", false, "no progress and no summary on standard error")
}

// open opens the captures.
func (in *input) open() (*capture.Reader, error) {
	return capture.Open(in.files, capture.Options{Ports: in.ports, Stdin: in.stdin})
}

// each hands every datagram to take, in order of time, and closes the reader. An
// error of a file does not stop the others: it is returned at the end. An error
// of take does.
func (in *input) each(ctx context.Context, r *capture.Reader, take func(*capture.Datagram) error) (capture.Stats, error) {
	defer r.Close()
	bar := in.progress(r)
	defer bar.finish()
	var failed []error
	for n := 0; ; n++ {
		if n%256 == 0 {
			if err := ctx.Err(); err != nil {
				return r.Stats(), err
			}
			bar.at(r.Position())
		}
		d, err := r.Next()
		if err == io.EOF {
			return r.Stats(), errors.Join(failed...)
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if err := take(&d); err != nil {
			return r.Stats(), err
		}
	}
}

// remarks says what a reader of the results should know about the captures.
func remarks(st capture.Stats, files []string) []string {
	var out []string
	if st.Datagrams+st.Messages == 0 {
		out = append(out, fmt.Sprintf("no flow exports in %s: %s; if the exporters use a port of their own, name it with --port",
			strings.Join(files, ", "), skipped(st)))
	}
	for _, f := range st.Cut {
		out = append(out, f+" ends within a packet, as when a capture is killed; all packets before it were read")
	}
	if st.Truncated > 0 {
		out = append(out, fmt.Sprintf("%s datagrams are truncated in the capture; capture with a larger snap length (tcpdump -s 0)", count(st.Truncated)))
	}
	if st.Holes > 0 {
		out = append(out, fmt.Sprintf("TCP segments are missing at %s places; the IPFIX messages there are lost", count(st.Holes)))
	}
	if st.BackInTime > 0 {
		out = append(out, fmt.Sprintf("%s packets are older than the ones before them and took their time", count(st.BackInTime)))
	}
	return out
}

// skipped says what else the captures held.
func skipped(st capture.Stats) string {
	var parts []string
	for _, p := range []struct {
		n    uint64
		what string
	}{
		{st.NotUDP, "not UDP"}, {st.NotExport, "no flow export"}, {st.Malformed, "malformed"},
		{st.UnknownLink, "of a link type that is not read"},
	} {
		if p.n > 0 {
			parts = append(parts, count(p.n)+" "+p.what)
		}
	}
	if len(parts) == 0 {
		return count(st.Packets) + " packets"
	}
	return fmt.Sprintf("%s packets, %s", count(st.Packets), strings.Join(parts, ", "))
}

// progress is a bar on a terminal, and nothing elsewhere or for short work.
type progress struct {
	bar   *progressbar.ProgressBar
	start time.Time
	make  func() *progressbar.ProgressBar
}

// patience is how long work may take before a bar appears.
const patience = 700 * time.Millisecond

func (in *input) progress(r *capture.Reader) *progress {
	size, known := r.Size()
	if in.quiet || !isTerminal(in.stderr) {
		return &progress{}
	}
	if !known {
		size = -1
	}
	return &progress{start: time.Now(), make: func() *progressbar.ProgressBar {
		return progressbar.NewOptions64(size, progressbar.OptionSetWriter(in.stderr), progressbar.OptionSetPredictTime(true),
			progressbar.OptionSetDescription("reading"), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(30))
	}}
}

func (p *progress) at(position int64) {
	if p.make == nil || (p.bar == nil && time.Since(p.start) < patience) {
		return
	}
	if p.bar == nil {
		p.bar = p.make()
	}
	_ = p.bar.Set64(position) // a bar that cannot be drawn stops no work
}

func (p *progress) finish() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// portList is the value of --port.
type portList []uint16

func (p *portList) Set(s string) error {
	for item := range strings.SplitSeq(s, ",") {
		var n uint16
		if _, err := fmt.Sscanf(item, "%d", &n); err != nil || n == 0 || fmt.Sprint(n) != strings.TrimSpace(item) {
			return fmt.Errorf("%q is no UDP port (1 to 65535)", item)
		}
		*p = append(*p, n)
	}
	return nil
}

func (p *portList) Type() string { return "port" }

func (p *portList) String() string {
	s := fmt.Sprint([]uint16(*p))
	return strings.ReplaceAll(strings.Trim(s, "[]"), " ", ",")
}

// count prints a number with commas.
func count(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// size prints bytes in units of 1,000.
func size(n uint64) string {
	f, units := float64(n), []string{"B", "kB", "MB", "GB", "TB", "PB", "EB"}
	for len(units) > 1 && f >= 1000 {
		f, units = f/1000, units[1:]
	}
	if units[0] == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[0])
}
