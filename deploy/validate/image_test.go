package validate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func dockerfile(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "deploy", "docker", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDockerfile(t *testing.T) {
	if err := LintDockerfile(dockerfile(t)); err != nil {
		t.Error(err)
	}
	// A named volume takes its owner from the folder of the image that it replaces.
	if !strings.Contains(dockerfile(t), "\nWORKDIR "+stateDir+"\n") {
		t.Error("the programs' state belongs into " + stateDir)
	}
	// The health checks of docker-compose.yml call it by this name.
	if !strings.Contains(dockerfile(t), `ENTRYPOINT ["/service"]`) {
		t.Error("the program must be /service")
	}
}

func TestBrokenDockerfileIsNoticed(t *testing.T) {
	for want, change := range map[string][2]string{
		"pin a version":               {"FROM scratch", "FROM debian:latest"},
		"USER \"root\"":               {"USER 65532:65532", "USER root"},
		"USER \"0:0\"":                {"USER 65532:65532", "USER 0:0"},
		"USER \"\"":                   {"USER 65532:65532", ""},
		"ADD fetches":                 {"COPY --chmod=0555", "ADD"},
		"ENTRYPOINT /service needs":   {`ENTRYPOINT ["/service"]`, "ENTRYPOINT /service"},
		"there is no ENTRYPOINT":      {`ENTRYPOINT ["/service"]`, ""},
		"only the programs":           {"bin/${SERVICE}", "."},
		"there is no WORKDIR":         {"WORKDIR /var/lib/flowledger", ""},
		"comes before USER":           {"USER 65532:65532", "WORKDIR /x\nUSER 65532:65532"},
		"EXPOSE is not needed":        {"ENTRYPOINT", "EXPOSE 8080\nENTRYPOINT"},
		"FROM flowledger/base: pin a": {"FROM scratch", "FROM flowledger/base"},
	} {
		text := strings.Replace(dockerfile(t), change[0], change[1], 1)
		expect(t, []error{LintDockerfile(text)}, want)
	}
}

func TestPinned(t *testing.T) {
	for image, ok := range map[string]bool{
		"apache/kafka:4.1.0":                     true,
		"clickhouse/clickhouse-server:26.7":      true,
		"images.example:5000/flowledger/sink:v1": true,
		"flowledger/sink@sha256:0123":            true,
		"apache/kafka":                           false,
		"apache/kafka:latest":                    false,
		"images.example:5000/flowledger/sink":    false,
		"":                                       false,
	} {
		if got := pinned(image) == nil; got != ok {
			t.Errorf("%s: %v, want %v", image, got, ok)
		}
	}
}
