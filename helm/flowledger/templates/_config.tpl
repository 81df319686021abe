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
{{- if include "flowledger.certificates" . -}}
{{- $_ := set $shared "streams" (dict "tls" (dict "cert_file" "/run/secrets/streams/tls.crt" "key_file" "/run/secrets/streams/tls.key")) -}}
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

{{/* The transport of an address to listen on: udp unless it begins with another. */}}
{{- define "flowledger.transport" -}}
{{ if contains "://" . }}{{ splitList "://" . | first }}{{ else }}udp{{ end }}
{{- end }}

{{/* The name of a port to listen on: udp-2055. */}}
{{- define "flowledger.listener" -}}
{{ include "flowledger.transport" . }}-{{ include "flowledger.port" . }}
{{- end }}

{{- define "flowledger.protocol" -}}
{{ ternary "UDP" "TCP" (eq (include "flowledger.transport" .) "udp") }}
{{- end }}

{{/* The Secret with a component's certificates, if it has one. */}}
{{- define "flowledger.certificates" -}}
{{ dig "certificates" "secretName" "" (index .root.Values .component | default dict) }}
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
{{- if include "flowledger.certificates" . }}
- name: certificates
  mountPath: /run/secrets/streams
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
{{- with include "flowledger.certificates" . }}
- name: certificates
  secret:
    secretName: {{ . }}
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
