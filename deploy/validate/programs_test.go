package validate

import (
	"debug/elf"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

var findPrograms = sync.OnceValues(FindPrograms)

func programs(t *testing.T) *Programs {
	t.Helper()
	p, err := findPrograms()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// report fails with every problem.
func report(t *testing.T, problems []error) {
	t.Helper()
	for _, p := range problems {
		t.Error(p)
	}
}

// expect fails unless exactly what is looked for was found.
func expect(t *testing.T, problems []error, want string) {
	t.Helper()
	all := errors.Join(problems...)
	if all == nil || !strings.Contains(all.Error(), want) {
		t.Errorf("not noticed: %s\ngot %v", want, all)
	}
}

// The image holds nothing but the binary: it must need no loader and no library.
func TestProgramsAreStatic(t *testing.T) {
	p := programs(t)
	for _, name := range append(slices.Clone(Services), "flowctl") {
		if needs, err := needs(filepath.Join(p.dir, name)); err != nil || len(needs) > 0 {
			t.Errorf("%s needs %q, which its image does not have (%v)", name, needs, err)
		}
	}
}

// The engine, which is in no image, shows that the search finds something.
func TestDynamicProgramIsNoticed(t *testing.T) {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("there is no engine for this architecture")
	}
	needs, err := needs(filepath.Join(programs(t).dir, "flowledger-engine"))
	if err != nil || len(needs) < 2 || !strings.Contains(needs[0], "ld-linux") {
		t.Errorf("the engine needs %q (%v)", needs, err)
	}
}

// needs are the loader and the libraries without which a program does not run.
func needs(program string) (names []string, err error) {
	f, err := elf.Open(program)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			loader, err := io.ReadAll(p.Open())
			if err != nil {
				return nil, err
			}
			names = append(names, strings.TrimRight(string(loader), "\x00"))
		}
	}
	libraries, err := f.ImportedLibraries()
	return append(names, libraries...), err
}

// The nearest thing to the image without a container engine: the binary alone in
// a folder that is the whole world to it, as the image's user.
func TestProgramsRunAloneAsNobody(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("changing the root folder needs root")
	}
	p := programs(t)
	for _, name := range append(slices.Clone(Services), "flowctl") {
		world, err := os.MkdirTemp("", "flowledger-image-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(world) })
		program, err := os.ReadFile(filepath.Join(p.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.WriteFile(filepath.Join(world, "service"), program, 0o555), os.Chmod(world, 0o555)); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("/service", "version")
		cmd.Env, cmd.Dir = []string{}, "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: world, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
		out, err := cmd.CombinedOutput()
		if errors.Is(err, syscall.EPERM) {
			t.Skip("this machine does not let root change the root folder")
		}
		if err != nil || !strings.HasPrefix(string(out), name+" ") {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}
