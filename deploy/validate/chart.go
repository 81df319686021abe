package validate

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
)

// ChartDir is the chart, seen from this package.
var ChartDir = filepath.Join(root, "helm", "flowledger")

// release and namespace are those of all renderings.
const (
	release   = "ledger"
	namespace = "network"
)

// Lint runs Helm's own linters; anything but advice is a problem.
func Lint(values map[string]any) (problems []error) {
	linter := lint.AllWithKubeVersion(ChartDir, values, namespace, nil)
	for _, m := range linter.Messages {
		if m.Severity > support.InfoSev {
			problems = append(problems, m)
		}
	}
	return problems
}

// Rendering is a chart made into manifests, by template.
type Rendering map[string]string

// LoadChart reads the chart.
func LoadChart() (*chart.Chart, error) { return loader.Load(ChartDir) }

// Render makes a chart into manifests as `helm template` does: values are held
// against values.schema.json, templates against missing keys.
func Render(c *chart.Chart, values map[string]any) (Rendering, error) {
	options := chartutil.ReleaseOptions{Name: release, Namespace: namespace, Revision: 1, IsInstall: true}
	all, err := chartutil.ToRenderValues(c, values, options, nil)
	if err != nil {
		return nil, err
	}
	files, err := engine.Engine{Strict: true}.Render(c, all)
	if err != nil {
		return nil, err
	}
	out := Rendering{}
	for name, content := range files {
		if strings.TrimSpace(content) != "" {
			out[strings.TrimPrefix(name, c.Name()+"/templates/")] = content
		}
	}
	return out, nil
}

// Notes is what Helm tells whoever installs.
func (r Rendering) Notes() string { return r["NOTES.txt"] }

// documents are the manifests in the order of their templates, one object each.
func (r Rendering) documents() (docs []string) {
	for _, name := range slices.Sorted(maps.Keys(r)) {
		if !strings.HasSuffix(name, ".yaml") {
			continue
		}
		for doc := range strings.SplitSeq("\n"+r[name], "\n---") {
			if doc = strings.TrimSpace(doc); doc != "" {
				docs = append(docs, doc)
			}
		}
	}
	return docs
}

// String is the rendering as one file, for people and golden files.
func (r Rendering) String() string {
	var b strings.Builder
	for _, doc := range r.documents() {
		fmt.Fprintf(&b, "---\n%s\n", doc)
	}
	return b.String()
}
