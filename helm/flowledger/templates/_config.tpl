{{/*
A component's configuration file: what all share (kafka, and clickhouse for those
who need it), and over it the component's own. Takes root, component, own (a
dict), ledger (whether it speaks to ClickHouse).
*/}}
{{- define "flowledger.config" -}}
{{- $shared := dict "kafka" (deepCopy .root.Values.kafka) -}}
{{- if .ledger -}}
{{- $clickhouse := deepCopy .root.Values.clickhouse -}}
{{- if .root.Values.clickhousePassword.secretName -}}
{{- $_ := set $clickhouse "password_file" (include "flowledger.passwordFile" .) -}}
{{- end -}}
{{- $_ := set $shared "clickhouse" $clickhouse -}}
{{- end -}}
{{- toYaml (mergeOverwrite $shared (deepCopy .own)) -}}
{{- end }}

{{- define "flowledger.passwordFile" -}}
/run/secrets/clickhouse/{{ .root.Values.clickhousePassword.key }}
{{- end }}

{{/* The port at the end of host:port. */}}
{{- define "flowledger.port" -}}
{{ splitList ":" . | last }}
{{- end }}

{{/*
Mounts and volumes of a component: its configuration, the password, and the
folder that it may write to.
*/}}
{{- define "flowledger.mounts" -}}
- name: config
  mountPath: /etc/flowledger
  readOnly: true
{{- if and .ledger .root.Values.clickhousePassword.secretName }}
- name: clickhouse-password
  mountPath: {{ include "flowledger.passwordFile" . | dir }}
  readOnly: true
{{- end }}
{{- if get (index .root.Values .component | default dict) "storage" }}
- name: storage
  mountPath: /var/lib/flowledger
{{- end }}
{{- end }}

{{- define "flowledger.volumes" -}}
- name: config
  configMap:
    name: {{ include "flowledger.name" . }}
{{- if and .ledger .root.Values.clickhousePassword.secretName }}
- name: clickhouse-password
  secret:
    secretName: {{ .root.Values.clickhousePassword.secretName }}
    defaultMode: 0440
{{- end }}
{{- with get (index .root.Values .component | default dict) "storage" }}
{{- if not .enabled }}
- name: storage
  emptyDir:
    sizeLimit: {{ .size }}
{{- end }}
{{- end }}
{{- end }}
