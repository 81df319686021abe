package validate

import (
	"fmt"
	"maps"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
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
	if file := e.ClickHouse.PasswordFile; e.usesLedger && !of.mounted(file) {
		wrong("clickhouse.password_file %s is not mounted", file)
	}
	if of.Job {
		return problems
	}
	for _, file := range []string{e.Streams.TLS.CertFile, e.Streams.TLS.KeyFile, e.Streams.TLS.ClientCAFile} {
		if !of.mounted(file) {
			wrong("streams.tls: %s is not mounted", file)
		}
	}
	udp, tcp, err := e.listens()
	if err != nil {
		wrong("listen: %w", err)
	}
	problems = append(problems, storage(of, e)...)
	if host, port, err := split(e.HTTP.Addr); err != nil {
		wrong("http.addr: %w", err)
	} else {
		if !everywhere(host) {
			wrong("http.addr %s cannot be reached from outside its container", e.HTTP.Addr)
		}
		if !slices.Equal(sorted(of.TCP), sorted(append(slices.Clone(tcp), port))) {
			wrong("it serves HTTP at %d, its ports are %v%s", port, of.TCP, also(tcp))
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
	if !slices.Equal(sorted(of.UDP), udp) {
		wrong("it listens on UDP %v, its ports are %v", udp, sorted(of.UDP))
	}
	for _, port := range of.World {
		if !slices.Contains(tcp, port) {
			wrong("port %d is published to the world", port)
		}
	}
	if of.Grace <= e.shutdown {
		wrong("it is killed after %s and may take %s to stop (shutdown_timeout)", of.Grace, e.shutdown)
	}
	return problems
}

// mounted tells whether a process finds a file, if it is to read one.
func (p *Process) mounted(file string) bool {
	_, ok := p.Files[file]
	return file == "" || ok || slices.Contains(p.SecretDirs, path.Dir(file))
}

// also says on what a process listens beside.
func also(tcp []int) string {
	if len(tcp) == 0 {
		return ""
	}
	return fmt.Sprintf("; it listens on TCP %v", tcp)
}

// listens are the ports of listen, which must be open to all.
func (e *Effective) listens() (udp, tcp []int, err error) {
	for _, text := range e.Listen {
		transport, addr, found := strings.Cut(text, "://")
		if !found {
			transport, addr = "udp", text
		}
		host, port, err := split(addr)
		if err != nil {
			return nil, nil, err
		}
		if !everywhere(host) {
			return nil, nil, &net.AddrError{Err: "cannot be reached from outside its container", Addr: text}
		}
		if transport == "udp" {
			udp = append(udp, port)
		} else {
			tcp = append(tcp, port)
		}
	}
	return sorted(udp), sorted(tcp), nil
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
