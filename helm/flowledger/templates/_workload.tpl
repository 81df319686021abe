{{/*
A service: ServiceAccount, ConfigMap, Deployment. Takes root, component, and
ledger (whether it speaks to ClickHouse). A service with storage is a StatefulSet,
whose replicas have a volume each, which a replica finds again wherever and in
whichever version it is started next.
*/}}
{{- define "flowledger.workload" -}}
{{- $service := index .root.Values .component -}}
{{- $config := include "flowledger.config" (merge (dict "own" $service.config) .) -}}
{{- $name := include "flowledger.name" . -}}
{{- $storage := get $service "storage" -}}
{{- if .root.Values.serviceAccount.create }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $name }}
  labels:
    {{- include "flowledger.labels" . | nindent 4 }}
  {{- with .root.Values.serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
---
{{- end }}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ $name }}
  labels:
    {{- include "flowledger.labels" . | nindent 4 }}
data:
  {{ .component }}.yaml: |
    {{- $config | nindent 4 }}
---
apiVersion: apps/v1
kind: {{ ternary "StatefulSet" "Deployment" (not (empty $storage)) }}
metadata:
  name: {{ $name }}
  labels:
    {{- include "flowledger.labels" . | nindent 4 }}
spec:
  replicas: {{ $service.replicas }}
  selector:
    matchLabels:
      {{- include "flowledger.selector" . | nindent 6 }}
  {{- if $storage }}
  serviceName: {{ $name }}
  # Replicas do not wait for each other to start.
  podManagementPolicy: Parallel
  updateStrategy:
    {{- toYaml $service.strategy | nindent 4 }}
  {{- else }}
  strategy:
    {{- toYaml $service.strategy | nindent 4 }}
  {{- end }}
  template:
    metadata:
      labels:
        {{- include "flowledger.labels" . | nindent 8 }}
        {{- with .root.Values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        # Another configuration is another pod.
        checksum/config: {{ sha256sum $config }}
        {{- with .root.Values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "flowledger.serviceAccount" . }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ .root.Values.terminationGracePeriodSeconds }}
      {{- with .root.Values.image.pullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- include "flowledger.podSecurity" . | nindent 8 }}
      containers:
        - name: {{ .component }}
          image: {{ include "flowledger.image" (merge (dict "binary" .component) .) }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          args: [--config, /etc/flowledger/{{ .component }}.yaml]
          ports:
            - name: http
              containerPort: {{ include "flowledger.port" $service.config.http.addr }}
            {{- range index $service.config "listen" }}
            - name: {{ include "flowledger.listener" . }}
              containerPort: {{ include "flowledger.port" . }}
              protocol: {{ include "flowledger.protocol" . }}
            {{- end }}
          livenessProbe:
            httpGet: { path: /healthz, port: http }
            periodSeconds: 10
            timeoutSeconds: 5
          readinessProbe:
            httpGet: { path: /readyz, port: http }
            periodSeconds: 5
            timeoutSeconds: 5
          resources:
            {{- toYaml $service.resources | nindent 12 }}
          securityContext:
            {{- include "flowledger.containerSecurity" . | nindent 12 }}
          volumeMounts:
            {{- include "flowledger.mounts" . | nindent 12 }}
      volumes:
        {{- include "flowledger.volumes" . | nindent 8 }}
      {{- range $key := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" }}
      {{- with index $service $key }}
      {{ $key }}:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- end }}
  {{- if and $storage $storage.enabled }}
  volumeClaimTemplates:
    - metadata:
        name: storage
        # Claims can never be changed: no labels that do.
        labels:
          {{- include "flowledger.selector" . | nindent 10 }}
      spec:
        accessModes: [ReadWriteOnce]
        {{- with $storage.className }}
        storageClassName: {{ . }}
        {{- end }}
        resources:
          requests: { storage: {{ $storage.size }} }
  {{- end }}
{{- end }}
