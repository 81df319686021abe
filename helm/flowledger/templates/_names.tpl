{{/* Names and labels. Each takes a dict: root (the chart's scope), component. */}}

{{/* The full name of a component's objects, within Kubernetes' 63 characters. */}}
{{- define "flowledger.name" -}}
{{- $base := ternary .root.Release.Name (printf "%s-flowledger" .root.Release.Name) (contains "flowledger" .root.Release.Name) -}}
{{- printf "%s-%s" ($base | trunc (int (sub 62 (len .component))) | trimSuffix "-") .component -}}
{{- end }}

{{/* What a selector goes by; it never changes in a release's life. */}}
{{- define "flowledger.selector" -}}
app.kubernetes.io/name: flowledger
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "flowledger.labels" -}}
{{ include "flowledger.selector" . }}
app.kubernetes.io/part-of: flowledger
app.kubernetes.io/version: {{ .root.Values.image.tag | default .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* The image; also takes binary. */}}
{{- define "flowledger.image" -}}
{{ .root.Values.image.prefix }}{{ .binary }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- define "flowledger.serviceAccount" -}}
{{- if .root.Values.serviceAccount.create }}{{ include "flowledger.name" . }}{{ else }}{{ .root.Values.serviceAccount.name }}{{ end -}}
{{- end }}
