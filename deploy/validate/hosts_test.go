package validate

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// registries are hosts of registries of images and packages, in words, so that
// this file does not name them either. Which registry a site uses is its own
// affair, said in its clients' settings: no file here names one.
var registries = [][]string{
	{"docker", "io"}, {"docker", "com"}, {"ghcr", "io"}, {"gcr", "io"}, {"quay", "io"}, {"registry", "k8s", "io"},
	{"public", "ecr", "aws"}, {"azurecr", "io"}, {"mcr", "microsoft", "com"}, {"pkg", "dev"},
	{"npmjs", "org"}, {"npmjs", "com"}, {"yarnpkg", "com"}, {"pypi", "org"}, {"pythonhosted", "org"}, {"crates", "io"},
	{"proxy", "golang", "org"}, {"sum", "golang", "org"}, {"goproxy", "io"}, {"goproxy", "cn"},
	{"repo", "maven", "apache", "org"}, {"repo1", "maven", "org"}, {"search", "maven", "org"}, {"sonatype", "org"},
	{"deb", "debian", "org"}, {"archive", "ubuntu", "com"}, {"charts", "helm", "sh"},
}

func registryHost() *regexp.Regexp {
	var names []string
	for _, words := range registries {
		names = append(names, regexp.QuoteMeta(strings.Join(words, ".")))
	}
	return regexp.MustCompile(`(?i)(^|[^a-z0-9-])(` + strings.Join(names, "|") + `)($|[^a-z0-9-])`)
}

// moduleList are files whose lines are names of Go modules, some of which sound
// like registries.
var moduleList = regexp.MustCompile(`(^|/)go\.(mod|sum|work\.sum)$`)

// imports of such modules, or words about them.
var moduleImport = regexp.MustCompile(`^(import )?\s*(\w+ )?"[a-z0-9.-]+/`)

func TestNoRegistryIsNamed(t *testing.T) {
	host := registryHost()
	for _, file := range repositoryFiles(t) {
		if moduleList.MatchString(file) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, file))
		if os.IsNotExist(err) {
			continue // removed, and not committed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		if bytes.IndexByte(text[:min(len(text), 8000)], 0) >= 0 {
			continue // not text
		}
		for i, line := range strings.Split(string(text), "\n") {
			if found := host.FindStringSubmatch(line); found != nil && !moduleImport.MatchString(line) {
				t.Errorf("%s:%d names %s: leave the registry to the client's settings", file, i+1, found[2])
			}
		}
	}
}

func TestRegistryIsNoticed(t *testing.T) {
	host := registryHost()
	for _, words := range registries {
		name := strings.Join(words, ".")
		for _, line := range []string{name, "image: " + name + "/a/b:1", "https://eu." + name + "/x", "GOPROXY=https://" + strings.ToUpper(name)} {
			if !host.MatchString(line) {
				t.Errorf("not noticed: %s", line)
			}
		}
	}
	for _, line := range []string{"apache/kafka:4.1.0", "images.example/flowledger", "docker.iosomething", "dockerXio"} {
		if host.MatchString(line) {
			t.Errorf("taken for a registry: %s", line)
		}
	}
}

// repositoryFiles are the files that are, or are about to be, in the repository.
func repositoryFiles(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Skip("this is no git checkout: ", err)
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 })
}
