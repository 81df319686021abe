package validate

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Services are the programs that run for ever; flowctl runs once.
var Services = []string{"ingest", "dedup", "stitch", "detect", "sink"}

// root is the repository, seen from this package.
const root = "../.."

// Programs are the binaries of `make build`, which the images hold.
type Programs struct{ dir string }

// FindPrograms takes what `make build` built; if it is not there, it builds the
// same.
func FindPrograms() (*Programs, error) {
	dir, err := filepath.Abs(filepath.Join(root, "bin"))
	if err != nil {
		return nil, err
	}
	p := &Programs{dir: dir}
	for _, name := range append(slices.Clone(Services), "flowctl") {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return p, p.build()
		}
	}
	return p, nil
}

func (p *Programs) build() error {
	make := exec.Command("make", "-C", root, "build")
	// The module's own GOWORK=off and flags are none of the services' business.
	make.Env = slices.DeleteFunc(os.Environ(), func(e string) bool {
		return strings.HasPrefix(e, "GOWORK=") || strings.HasPrefix(e, "MAKE")
	})
	if out, err := make.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build the programs: %w\n%s", err, out)
	}
	return nil
}

// run executes a program with an environment of its own and returns what it said.
func (p *Programs) run(name string, env map[string]string, args ...string) (stdout, stderr string, err error) {
	cmd := exec.Command(filepath.Join(p.dir, name), args...)
	cmd.Env = []string{} // nothing of this process's
	for k, v := range env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err = cmd.Run()
	return out.String(), strings.TrimSpace(complaint.String()), err
}

// layout writes a process's files below dir, and returns its arguments and
// environment with the paths changed accordingly.
func layout(p *Process, dir string) (args []string, env map[string]string, err error) {
	moved := map[string]string{}
	for path, content := range p.Files {
		file := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return nil, nil, err
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			return nil, nil, err
		}
		moved[path] = file
	}
	for _, arg := range p.Args {
		if file, ok := moved[arg]; ok {
			arg = file
		}
		args = append(args, arg)
	}
	env = map[string]string{}
	for k, v := range p.Env {
		if file, ok := moved[v]; ok && k == "FLOWLEDGER_CONFIG" {
			v = file
		}
		env[k] = v
	}
	return args, env, nil
}
