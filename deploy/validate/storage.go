package validate

import (
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// storage holds the folders that a program writes to against those that it may
// write to, and that outlive it.
func storage(of *Process, e *Effective) (problems []error) {
	wrong := func(format string, args ...any) { problems = append(problems, of.problem(format, args...)) }
	if of.Binary == "ingest" && e.Spool.Dir == "" {
		wrong("spool.dir is empty: what Kafka does not take is lost")
	}
	for key, dir := range map[string]string{"spool.dir": e.Spool.Dir, "vpc.state_dir": e.VPC.StateDir, "zeek.state_dir": e.Zeek.StateDir} {
		if _, ok := of.room(dir); dir != "" && !ok {
			wrong("%s %s is in no volume", key, dir)
		}
	}
	if room, ok := of.room(e.Spool.Dir); ok && room > 0 {
		most, err := resource.ParseQuantity(strings.TrimSuffix(e.Spool.MaxBytes, "B"))
		if err != nil {
			wrong("spool.max_bytes %s: %w", e.Spool.MaxBytes, err)
		} else if most.Value() >= room {
			wrong("spool.max_bytes %s does not fit into its volume of %d bytes", e.Spool.MaxBytes, room)
		}
	}
	return problems
}

// room is that of the storage that holds a folder.
func (p *Process) room(dir string) (bytes int64, ok bool) {
	for ; len(dir) > 1; dir = path.Dir(dir) {
		if bytes, ok = p.Storage[dir]; ok {
			return bytes, true
		}
	}
	return 0, false
}
