package validate

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// LoadCompose reads docker-compose.yml as `docker compose` does: held against the
// Compose Specification's schema, merged, interpolated.
func LoadCompose() (*types.Project, error) {
	dir, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	return loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir:  dir,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(dir, "docker-compose.yml")}},
		Environment: types.Mapping{},
	}, func(o *loader.Options) { o.SetProjectName("flowledger", true) })
}

// ours tells whether a service runs one of this project's programs.
func ours(s *types.ServiceConfig) bool { return s.Build != nil }

// ComposeProcesses are the containers that run this project's programs.
func ComposeProcesses(project *types.Project) (processes []*Process, problems []error) {
	for _, name := range project.ServiceNames() {
		s := project.Services[name]
		if !ours(&s) {
			continue
		}
		p, wrong := composeProcess(project, &s)
		processes, problems = append(processes, p), append(problems, wrong...)
	}
	return processes, problems
}

func composeProcess(project *types.Project, s *types.ServiceConfig) (p *Process, problems []error) {
	p = &Process{
		Where: "service " + s.Name, Binary: binaryOf(s.Image), Args: s.Command, Job: s.Restart == "no",
		Env: map[string]string{}, Files: map[string]string{}, Storage: map[string]int64{}, Grace: 10 * time.Second, // Docker's default
	}
	wrong := func(format string, args ...any) { problems = append(problems, p.problem(format, args...)) }
	if s.StopGracePeriod != nil {
		p.Grace = time.Duration(*s.StopGracePeriod)
	}
	for k, v := range s.Environment {
		if v != nil {
			p.Env[k] = *v
		}
	}
	if built := s.Build.Args["SERVICE"]; built == nil || *built != p.Binary {
		wrong("its image %s holds another program", s.Image)
	}
	for _, c := range s.Configs {
		problems = append(problems, p.file(c.Target, project.Configs[c.Source].File)...)
	}
	for _, c := range s.Secrets {
		target := c.Target
		if !filepath.IsAbs(target) {
			target = filepath.Join("/run/secrets", max(target, c.Source))
		}
		problems = append(problems, p.file(target, project.Secrets[c.Source].File)...)
	}
	for _, v := range s.Volumes {
		if v.Type != types.VolumeTypeVolume || v.Source == "" || v.ReadOnly {
			wrong("what is mounted at %s must be a volume with a name, or it is lost with the container", v.Target)
			continue
		}
		p.Storage[v.Target] = 0
	}
	for _, port := range s.Ports {
		switch port.Protocol {
		case "udp":
			p.UDP = append(p.UDP, int(port.Target))
		default:
			p.TCP = append(p.TCP, int(port.Target))
		}
		if port.Published != fmt.Sprint(port.Target) {
			wrong("port %d is published as %s; the documentation says otherwise", port.Target, port.Published)
		}
		if port.Protocol == "tcp" && port.HostIP != "127.0.0.1" {
			p.World = append(p.World, int(port.Target))
		}
	}
	return p, append(problems, p.health(s)...)
}

// file mounts a file of the repository. Compose copies contents given inline into
// the container, which a read-only one refuses: they must be files.
func (p *Process) file(target, file string) []error {
	if file == "" {
		return []error{p.problem("what is mounted at %s must be a file", target)}
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return []error{p.problem("cannot mount %s: %w", target, err)}
	}
	p.Files[target] = string(content)
	return nil
}

// health holds the health check against the command: the binary must ask itself,
// with the configuration that it runs with.
func (p *Process) health(s *types.ServiceConfig) []error {
	if p.Job {
		return nil
	}
	if s.HealthCheck == nil {
		return []error{p.problem("nobody asks for its health")}
	}
	want := append([]string{"CMD", "/service", "health"}, p.Args...)
	if !slices.Equal(s.HealthCheck.Test, want) {
		return []error{p.problem("its health check is %q, not %q", s.HealthCheck.Test, want)}
	}
	for _, port := range p.TCP {
		p.Probes = append(p.Probes, Probe{port, "/readyz"})
	}
	return nil
}

// HealthCommand runs `health` as the health check does, with no service there. It
// must understand the question, and say no.
func (p *Programs) HealthCommand(of *Process) error {
	dir, err := os.MkdirTemp("", "flowledger-validate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	args, env, err := layout(of, dir)
	if err != nil {
		return err
	}
	// Port 1 is nobody's: a service that runs here is not asked by mistake.
	args = append(append([]string{"health"}, args...), "--http.addr", "127.0.0.1:1")
	_, said, err := p.run(of.Binary, env, args...)
	if err == nil || !strings.Contains(said, "cannot ask for health") {
		return of.problem("health: %v: %s", err, said)
	}
	return nil
}
