package validate

import (
	"maps"
	"net"
	"path"
	"slices"
	"strconv"
)

// Judge holds the processes of one deployment against their programs, and
// returns all that is wrong.
func (p *Programs) Judge(processes []*Process) (problems []error) {
	effective := map[string]*Effective{}
	for _, of := range processes {
		e, err := p.Effective(of)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		effective[of.Where] = e
		problems = append(problems, judge(of, e)...)
	}
	return append(problems, agree(effective)...)
}

// judge holds ports, probes, patience and secrets against what a program would do.
func judge(of *Process, e *Effective) (problems []error) {
	wrong := func(format string, args ...any) { problems = append(problems, of.problem(format, args...)) }
	if file := e.ClickHouse.PasswordFile; e.usesLedger && file != "" {
		_, mounted := of.Files[file]
		if !mounted && !slices.Contains(of.SecretDirs, path.Dir(file)) {
			wrong("clickhouse.password_file %s is not mounted", file)
		}
	}
	if of.Job {
		return problems
	}
	problems = append(problems, storage(of, e)...)
	if host, port, err := split(e.HTTP.Addr); err != nil {
		wrong("http.addr: %w", err)
	} else {
		if !everywhere(host) {
			wrong("http.addr %s cannot be reached from outside its container", e.HTTP.Addr)
		}
		if !slices.Equal(of.TCP, []int{port}) {
			wrong("it serves HTTP at %d, its ports are %v", port, of.TCP)
		}
		for _, probe := range of.Probes {
			if probe.Port != port {
				wrong("it is probed at port %d and serves %d", probe.Port, port)
			}
			if probe.Path != "/healthz" && probe.Path != "/readyz" {
				wrong("it is probed at %s; there are /healthz and /readyz", probe.Path)
			}
		}
	}
	if len(of.Probes) == 0 {
		wrong("nobody asks for its health")
	}
	if listens, err := e.udp(); err != nil {
		wrong("listen: %w", err)
	} else if !slices.Equal(sorted(of.UDP), listens) {
		wrong("it listens on UDP %v, its ports are %v", listens, sorted(of.UDP))
	}
	if of.Grace <= e.shutdown {
		wrong("it is killed after %s and may take %s to stop (shutdown_timeout)", of.Grace, e.shutdown)
	}
	return problems
}

// udp are the ports of listen, which must be open to all.
func (e *Effective) udp() (ports []int, err error) {
	for _, addr := range e.Listen {
		host, port, err := split(addr)
		if err != nil {
			return nil, err
		}
		if !everywhere(host) {
			return nil, &net.AddrError{Err: "cannot be reached from outside its container", Addr: addr}
		}
		ports = append(ports, port)
	}
	return sorted(ports), nil
}

func split(addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	port, err = strconv.Atoi(text)
	return host, port, err
}

func everywhere(host string) bool { return host == "" || net.ParseIP(host).IsUnspecified() }

func sorted(ports []int) []int { return slices.Sorted(slices.Values(ports)) }

// binaries lists the programs of processes, each once.
func binaries(processes []*Process) []string {
	names := map[string]bool{}
	for _, p := range processes {
		names[p.Binary] = true
	}
	return slices.Sorted(maps.Keys(names))
}
