{{/*
A job that runs flowctl before an installation or upgrade, with what it needs: at
that time nothing else of the release exists yet. Takes root, component, ledger.
*/}}
{{- define "flowledger.hook" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: {{ .policy }}
{{- end }}

{{- define "flowledger.job" -}}
{{- $name := include "flowledger.name" . -}}
{{- $jobs := .root.Values.jobs -}}
{{- if .root.Values.serviceAccount.create }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $name }}
  labels:
    {{- include "flowledger.labels" . | nindent 4 }}
  annotations:
    {{- include "flowledger.hook" (dict "weight" "-10" "policy" "before-hook-creation") | nindent 4 }}
automountServiceAccountToken: false
---
{{- end }}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ $name }}
  labels:
    {{- include "flowledger.labels" . | nindent 4 }}
  annotations:
    {{- include "flowledger.hook" (dict "weight" "-10" "policy" "before-hook-creation") | nindent 4 }}
data:
  flowctl.yaml: |
    {{- include "flowledger.config" (merge (dict "own" dict) .) | nindent 4 }}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ $name }}
  labels:
    {{- include "flowledger.labels" . | nindent 4 }}
  annotations:
    {{- include "flowledger.hook" (dict "weight" "0" "policy" "before-hook-creation,hook-succeeded") | nindent 4 }}
spec:
  backoffLimit: 6
  activeDeadlineSeconds: {{ $jobs.activeDeadlineSeconds }}
  template:
    metadata:
      labels:
        {{- include "flowledger.labels" . | nindent 8 }}
        {{- with .root.Values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .root.Values.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      restartPolicy: OnFailure
      serviceAccountName: {{ include "flowledger.serviceAccount" . }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      {{- with .root.Values.image.pullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- include "flowledger.podSecurity" . | nindent 8 }}
      containers:
        - name: flowctl
          image: {{ include "flowledger.image" (merge (dict "binary" "flowctl") .) }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          args: [{{ .component }}, --config, /etc/flowledger/flowctl.yaml]
          resources:
            {{- toYaml $jobs.resources | nindent 12 }}
          securityContext:
            {{- include "flowledger.containerSecurity" . | nindent 12 }}
          volumeMounts:
            {{- include "flowledger.mounts" . | nindent 12 }}
      volumes:
        {{- include "flowledger.volumes" . | nindent 8 }}
{{- end }}
