package validate

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/chartutil"
	corev1 "k8s.io/api/core/v1"
)

var update = flag.Bool("update", false, "write the golden renderings anew")

var golden = filepath.Join(root, "helm", "golden")

// variants are the sets of values that the chart is rendered with: none, and one
// per folder of helm/golden.
func variants(t *testing.T) map[string]map[string]any {
	t.Helper()
	all := map[string]map[string]any{"default": {}}
	files, err := filepath.Glob(filepath.Join(golden, "*", "values.yaml"))
	if err != nil || len(files) < 3 {
		t.Fatalf("found %v (%v)", files, err)
	}
	for _, file := range files {
		values, err := chartutil.ReadValuesFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(filepath.Dir(file))] = values
	}
	return all
}

func render(t *testing.T, values map[string]any) Rendering {
	t.Helper()
	c, err := LoadChart()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Render(c, values)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func objects(t *testing.T, values map[string]any) *Objects {
	t.Helper()
	o, err := Decode(render(t, values))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestChart(t *testing.T) {
	for name, values := range variants(t) {
		t.Run(name, func(t *testing.T) {
			report(t, Lint(values))
			r := render(t, values)
			compare(t, filepath.Join(golden, name, "rendered.yaml"), r.String())
			compare(t, filepath.Join(golden, name, "notes.txt"), r.Notes())
			o, err := Decode(r)
			if err != nil {
				t.Fatal(err)
			}
			report(t, o.Links("flows"))
			report(t, o.Security())
			processes, problems := o.Processes()
			report(t, problems)
			report(t, programs(t).Judge(processes))
			for _, s := range Services {
				if !strings.Contains(strings.Join(binaries(processes), " "), s) {
					t.Errorf("%s is missing", s)
				}
			}
		})
	}
}

// compare holds a text against a golden file, or writes it.
func compare(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; go test -update writes it", err)
	}
	if diff := cmp.Diff(got, string(want)); diff != "" {
		t.Errorf("%s differs; if that is meant, go test -update (-got, +want):\n%s", file, diff)
	}
}

// What is wrong in a rendering must be noticed: each case breaks one thing.
func TestBrokenChartIsNoticed(t *testing.T) {
	deployment := func(o *Objects, service string) *corev1.PodSpec {
		for _, p := range o.pods() {
			if strings.HasSuffix(p.owner.Name, "-"+service) {
				return p.spec
			}
		}
		t.Fatal("no pods of ", service)
		return nil
	}
	for name, tc := range map[string]struct {
		spoil func(o *Objects)
		want  string
	}{
		"port of the probe": {func(o *Objects) { deployment(o, "dedup").Containers[0].Ports[0].ContainerPort = 8099 }, "it serves HTTP at 8082, its ports are [8099]"},
		"missing UDP port": {func(o *Objects) {
			c := &deployment(o, "ingest").Containers[0]
			c.Ports = c.Ports[:len(c.Ports)-1]
		}, "it listens on UDP [2055 4739 6343], its ports are [2055 4739]"},
		"path of the probe": {func(o *Objects) {
			deployment(o, "sink").Containers[0].LivenessProbe.HTTPGet.Path = "/health"
		}, "it is probed at /health"},
		"patience": {func(o *Objects) { *deployment(o, "stitch").TerminationGracePeriodSeconds = 20 }, "killed after 20s and may take 25s"},
		"mount": {func(o *Objects) {
			deployment(o, "detect").Containers[0].VolumeMounts[0].MountPath = "/etc/elsewhere"
		}, "/etc/flowledger/detect.yaml is not mounted"},
		"flag": {func(o *Objects) {
			c := &deployment(o, "detect").Containers[0]
			c.Args = append(c.Args, "--hodl=1s")
		}, "unknown flag: --hodl"},
		"variable": {func(o *Objects) {
			c := &deployment(o, "detect").Containers[0]
			c.Env = append(c.Env, corev1.EnvVar{Name: "FLOWLEDGER_KAFKA_BROKRES", Value: "k:9092"})
		}, "did you mean FLOWLEDGER_KAFKA_BROKERS?"},
		"other partitions": {func(o *Objects) {
			c := &deployment(o, "stitch").Containers[0]
			c.Env = append(c.Env, corev1.EnvVar{Name: "FLOWLEDGER_KAFKA_PARTITIONS_HOSTS", Value: "3"})
		}, "kafka.partitions differs"},
		"command of the job": {func(o *Objects) { o.Jobs[0].Spec.Template.Spec.Containers[0].Args[0] = "migraet" }, "see `flowctl --help`"},
		"variable of the job": {func(o *Objects) {
			c := &o.Jobs[0].Spec.Template.Spec.Containers[0]
			c.Env = append(c.Env, corev1.EnvVar{Name: "FLOWLEDGER_HODL"})
		}, "FLOWLEDGER_HODL names no key"},
		"late ConfigMap": {func(o *Objects) {
			for name, c := range o.ConfigMaps {
				if strings.HasSuffix(name, "-topics") {
					delete(c.Annotations, hook)
				}
			}
		}, "runs before its ConfigMap ledger-flowledger-topics is made"},
		"selector of the Service": {func(o *Objects) { o.Services[0].Spec.Selector["app.kubernetes.io/component"] = "sink" }, "nobody in Deployment ledger-flowledger-sink has UDP port"},
		"port of the Service":     {func(o *Objects) { o.Services[0].Spec.Ports[0].Port = 2056 }, "has UDP port udp-2055"},
		"no Service":              {func(o *Objects) { o.StatefulSets[0].Spec.ServiceName = "x" }, "StatefulSet ledger-flowledger-ingest: there is no Service x"},
		"selector":                {func(o *Objects) { o.StatefulSets[0].Spec.Template.Labels = nil }, "StatefulSet ledger-flowledger-ingest does not select its own pods"},
		"no storage": {func(o *Objects) {
			c := &deployment(o, "ingest").Containers[0]
			c.VolumeMounts = c.VolumeMounts[:1]
		}, "vpc.state_dir /var/lib/flowledger/ingest is in no volume"},
		"no claim": {func(o *Objects) { o.StatefulSets[0].Spec.VolumeClaimTemplates = nil }, "there is no volume storage to mount"},
		"root": {func(o *Objects) {
			no := false
			deployment(o, "sink").SecurityContext.RunAsNonRoot = &no
		}, "runAsNonRoot"},
		"seccomp":    {func(o *Objects) { deployment(o, "sink").SecurityContext.SeccompProfile = nil }, "seccompProfile"},
		"root disk":  {func(o *Objects) { deployment(o, "sink").Containers[0].SecurityContext.ReadOnlyRootFilesystem = nil }, "root file system can be written"},
		"latest":     {func(o *Objects) { deployment(o, "sink").Containers[0].Image = "flowledger/sink:latest" }, "must have a tag other than latest"},
		"no account": {func(o *Objects) { deployment(o, "sink").ServiceAccountName = "nobody" }, "there is no ServiceAccount nobody"},
	} {
		t.Run(name, func(t *testing.T) {
			o := objects(t, map[string]any{})
			tc.spoil(o)
			processes, problems := o.Processes()
			problems = append(problems, o.Links("")...)
			problems = append(problems, o.Security()...)
			expect(t, append(problems, programs(t).Judge(processes)...), tc.want)
		})
	}
}

// Values go into configurations as they are; the programs refuse what is wrong.
func TestWrongValuesAreRefusedByThePrograms(t *testing.T) {
	for want, values := range map[string]string{
		"dedup.hodl: unknown key; did you mean hold?":             "dedup: {config: {dedup: {hodl: 10s}}}",
		"kafka.brokres: unknown key":                              "kafka: {brokres: [a:1]}",
		"clickhouse.databas: unknown key":                         "clickhouse: {databas: ledger}",
		"cut.rows: from 1 to 400000":                              "sink: {config: {cut: {rows: 500000}}}",
		"\"10\" is no duration":                                   "stitch: {config: {stitch: {tcp_idle: 10}}}",
		"spool.max_bytes 8GiB does not fit":                       "ingest: {config: {spool: {max_bytes: 8GiB}}}",
		"spool.max_bytes 4GiB does not fit into":                  "ingest: {storage: {enabled: false, size: 4Gi}}",
		"spool.dir /spool is in no volume":                        "ingest: {config: {spool: {dir: /spool}}}",
		"zeek.state_dir /zeek is in no volume":                    "ingest: {config: {zeek: {state_dir: /zeek}}}",
		"spool.dir is empty":                                      "ingest: {config: {spool: {dir: ''}}}",
		"streams.tls: /run/secrets/streams/ca.crt is not mounted": "ingest: {config: {streams: {tls: {client_ca_file: /run/secrets/streams/ca.crt}}}}",
	} {
		v, err := chartutil.ReadValues([]byte(values))
		if err != nil {
			t.Fatal(err)
		}
		processes, problems := objects(t, v).Processes()
		expect(t, append(problems, programs(t).Judge(processes)...), want)
	}
}

// What is the chart's own is refused by its schema, before anything is installed.
func TestWrongValuesAreRefusedByTheSchema(t *testing.T) {
	c, err := LoadChart()
	if err != nil {
		t.Fatal(err)
	}
	for want, values := range map[string]string{
		"additional properties 'dedpu' not allowed":   "dedpu: {replicas: 3}",
		"additional properties 'replcas' not allowed": "dedup: {replcas: 3}",
		"'not' failed":                                  "image: {tag: latest}",
		"127.0.0.1:8082' does not match pattern":        "dedup: {config: {http: {addr: '127.0.0.1:8082'}}}",
		"value must be one of 'Local', 'Cluster'":       "ingest: {service: {externalTrafficPolicy: Remote}}",
		"maximum: got 90,000, want 86,400":              "ingest: {service: {sessionAffinityTimeoutSeconds: 90000}}",
		"at '/kafka/brokers/0': 'kafka' does not match": "kafka: {brokers: [kafka]}",
		"'/ingest/storage/size': '5GB' does not match":  "ingest: {storage: {size: 5GB}}",
		"every replica would read every file":           "ingest: {config: {vpc: {s3: {bucket: b}}}}",
		"tls://:4740 needs a certificate":               "ingest: {config: {listen: ['tls://:4740']}}",
		"'sctp://:4739' does not match pattern":         "ingest: {config: {listen: ['sctp://:4739']}}",
	} {
		v, err := chartutil.ReadValues([]byte(values))
		if err != nil {
			t.Fatal(err)
		}
		_, err = Render(c, v)
		expect(t, []error{err}, want)
	}
}

// The decoder is strict: a field that Kubernetes does not have is an error.
func TestMisspeltFieldIsRefused(t *testing.T) {
	for want, change := range map[string][2]string{
		`unknown field "spec.template.spec.containers[0].readinesProbe"`: {"readinessProbe:", "readinesProbe:"},
		`cannot unmarshal string into Go struct field`:                   {"replicas: 2", "replicas: two"},
		`no kind "Deploymnt" is registered`:                              {"kind: Deployment", "kind: Deploymnt"},
	} {
		r := render(t, map[string]any{})
		for name := range r {
			r[name] = strings.ReplaceAll(r[name], change[0], change[1])
		}
		_, err := Decode(r)
		expect(t, []error{err}, want)
	}
}
