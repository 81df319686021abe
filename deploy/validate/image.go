package validate

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
)

// pinned refuses images whose version is left to chance.
func pinned(image string) error {
	name, tag, tagged := strings.Cut(path.Base(image), ":")
	switch {
	case strings.Contains(image, "@sha256:"):
		return nil
	case name == "":
		return fmt.Errorf("image %q has no name", image)
	case !tagged || tag == "" || tag == "latest":
		return fmt.Errorf("image %s must have a tag other than latest", image)
	}
	return nil
}

// instruction is one line of a Dockerfile, continuations joined.
type instruction struct{ name, rest string }

// LintDockerfile holds a Dockerfile against the rules that a linter would know
// and that matter here.
func LintDockerfile(text string) error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	user, entrypoint, folder := "", "", ""
	for _, i := range instructions(text) {
		switch i.name {
		case "FROM":
			user, entrypoint, folder = "", "", ""
			if base := strings.Fields(i.rest)[0]; base != "scratch" && pinned(base) != nil {
				wrong("FROM %s: pin a version", base)
			}
		case "ADD":
			wrong("ADD fetches and unpacks; COPY does what it says")
		case "USER":
			user = i.rest
		case "ENTRYPOINT", "CMD":
			var exec []string
			if err := json.Unmarshal([]byte(i.rest), &exec); err != nil || len(exec) == 0 {
				wrong("%s %s needs a shell, which would swallow SIGTERM: write a JSON list", i.name, i.rest)
			}
			entrypoint = i.rest
		case "COPY":
			if !strings.Contains(i.rest, " bin/${SERVICE} ") {
				wrong("COPY %s: only the programs belong into the image", i.rest)
			}
		case "WORKDIR":
			if folder = i.rest; user == "" {
				wrong("WORKDIR %s comes before USER: the folder is root's, and so is a volume in its place", folder)
			}
		case "ARG", "LABEL":
		default:
			wrong("%s is not needed in an image that holds one program", i.name)
		}
	}
	if id, _, _ := strings.Cut(user, ":"); id == "" || strings.Trim(id, "0123456789") != "" || strings.Trim(id, "0") == "" {
		wrong("USER %q must be a number above 0: Kubernetes cannot tell whether a name is root", user)
	}
	if folder == "" {
		wrong("there is no WORKDIR: a volume would be root's")
	}
	if entrypoint == "" {
		wrong("there is no ENTRYPOINT")
	}
	return errors.Join(errs...)
}

func instructions(text string) (all []instruction) {
	text = strings.ReplaceAll(text, "\\\n", " ")
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, rest, _ := strings.Cut(line, " ")
		all = append(all, instruction{strings.ToUpper(name), strings.TrimSpace(rest)})
	}
	return all
}
