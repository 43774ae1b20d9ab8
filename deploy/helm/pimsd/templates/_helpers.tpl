{{- define "pimsd.name" -}}
{{- if contains "pimsd" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-pimsd" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "pimsd.selector" -}}
app.kubernetes.io/name: pimsd
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pimsd.labels" -}}
{{ include "pimsd.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "pimsd.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "pimsd.scheme" -}}
{{ ternary "https" "http" (ne .Values.tls.existingSecret "") }}
{{- end }}

{{- /* What the chart decides about the process, and where its values say it. */ -}}
{{- define "pimsd.refuseSettings" -}}
{{- $places := dict
  "listen" "service.port says where callers reach the pods"
  "ops.listen" "networkPolicy.operators says who may reach the operators' listener"
  "admin.listen" "use administration.enabled"
  "data_dir" "store.size and store.storageClass describe the volume that is mounted there"
  "maintenance" "use maintenance"
  "database_url" "put the URL under database_url into the Secret that store.existingSecret names"
  "database_url_file" "put the URL under database_url into the Secret that store.existingSecret names"
  "seal.keys" "put the keys under seal.keys into the Secret that store.existingSecret names"
  "seal.keys_file" "put the keys under seal.keys into the Secret that store.existingSecret names"
  "stop.drain_delay" "use drainDelaySeconds"
  "tls.cert_file" "put the certificate into a Secret of the type kubernetes.io/tls, and name it in tls.existingSecret"
  "tls.key_file" "put the key into a Secret of the type kubernetes.io/tls, and name it in tls.existingSecret"
  "http.allow_plain" "pods serve plain HTTP unless tls.existingSecret is given"
  "jwt.issuers_file" "use issuers, of which the chart makes the file"
  "inwebo.proxy_url" "put the URL under proxy_url into a Secret, and name it in inwebo.proxySecret"
  "inwebo.proxy_url_file" "put the URL under proxy_url into a Secret, and name it in inwebo.proxySecret"
  "inwebo.ca_file" "put the certificates under ca.crt into a ConfigMap, and name it in inwebo.caConfigMap"
  "inwebo.client_cert_file" "put the certificate into a Secret of the type kubernetes.io/tls, and name it in inwebo.clientCertSecret"
  "inwebo.client_key_file" "put the key into a Secret of the type kubernetes.io/tls, and name it in inwebo.clientCertSecret" }}
{{- range $key, $place := $places }}
{{- $path := splitList "." $key }}
{{- $in := $.Values.settings }}
{{- if gt (len $path) 1 }}{{ $in = get $in (first $path) | default dict }}{{ end }}
{{- if hasKey $in (last $path) }}
{{- fail (printf "settings.%s cannot be given, because the chart decides it: %s" $key $place) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Combinations that would lose devices, or not start. Every template that makes pods asks. */ -}}
{{- define "pimsd.refuse" -}}
{{- include "pimsd.refuseSettings" . }}
{{- if eq .Values.store.kind "sqlite" }}
{{- if gt (int .Values.replicas) 1 }}
{{- fail "replicas must be 1 with store.kind sqlite: the devices are on the volume of one pod. For several replicas set store.kind to postgres" }}
{{- end }}
{{- else }}
{{- if lt (int .Values.replicas) 2 }}
{{- fail "replicas must be 2 or more with store.kind postgres: with one, an upgrade or a drained node stops the service" }}
{{- end }}
{{- if not .Values.store.existingSecret }}
{{- fail "store.existingSecret is missing: with store.kind postgres it must name a Secret with database_url and seal.keys" }}
{{- end }}
{{- end }}
{{- if le (int .Values.stopSeconds) (int (include "pimsd.longestStop" .)) }}
{{- fail (printf "stopSeconds must be more than %s with these settings: a pod that is killed while it stops leaves devices in doubt" (include "pimsd.longestStop" .)) }}
{{- end }}
{{- if and .Values.administration.enabled .Values.networkPolicy.enabled (not .Values.networkPolicy.administrators) }}
{{- fail "networkPolicy.administrators is empty, which keeps everybody out of administration.enabled: name who administers" }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled .Values.networkPolicy.enabled (not .Values.networkPolicy.operators) }}
{{- fail "networkPolicy.operators is empty, which keeps out the Prometheus of serviceMonitor.enabled: name where it runs" }}
{{- end }}
{{- end }}

{{- /* In seconds, how long a pod may take to stop after the drain delay. 15s is the default of conversation.deadline; 10s is for
storing what inWebo has answered, and 4s for listeners, log and traces. The schema refuses a deadline that begins with 0, because
`int` would read it as octal. */ -}}
{{- define "pimsd.longestStop" -}}
{{- $deadline := dig "conversation" "deadline" "15s" .Values.settings | trimSuffix "s" | int }}
{{- add (mul 2 $deadline) 10 4 }}
{{- end }}

{{- define "pimsd.pod" -}}
metadata:
  annotations:
    checksum/settings: {{ printf "%s%s" (include "pimsd.settings" .) (toYaml .Values.issuers) | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  labels:
    {{- include "pimsd.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "pimsd.name" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ add .Values.drainDelaySeconds .Values.stopSeconds }}
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  containers:
    - name: pimsd
      image: {{ include "pimsd.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [serve]
      env:
        - {name: PIMSD_CONFIG, value: /etc/pimsd/pimsd.yaml}
        - {name: PIMSD_LISTEN, value: ":8080"}
        {{- if .Values.tls.existingSecret }}
        - {name: PIMSD_TLS_CERT_FILE, value: /run/secrets/tls/tls.crt}
        - {name: PIMSD_TLS_KEY_FILE, value: /run/secrets/tls/tls.key}
        {{- else }}
        - {name: PIMSD_HTTP_ALLOW_PLAIN, value: "yes"} # TLS ends in an ingress or a mesh
        {{- end }}
        - {name: PIMSD_OPS_LISTEN, value: ":9464"}
        {{- if .Values.administration.enabled }}
        - {name: PIMSD_ADMIN_LISTEN, value: ":8081"}
        {{- end }}
        - {name: PIMSD_DATA_DIR, value: /var/lib/pimsd}
        - {name: PIMSD_STOP_DRAIN_DELAY, value: {{ printf "%ds" (int .Values.drainDelaySeconds) }}}
        {{- if .Values.maintenance }}
        - {name: PIMSD_MAINTENANCE, value: "yes"}
        {{- end }}
        {{- if .Values.store.existingSecret }}
        - {name: PIMSD_SEAL_KEYS_FILE, value: /run/secrets/pimsd/seal.keys}
        {{- end }}
        {{- if eq .Values.store.kind "postgres" }}
        - {name: PIMSD_DATABASE_URL_FILE, value: /run/secrets/pimsd/database_url}
        {{- end }}
        {{- if .Values.issuers }}
        - {name: PIMSD_JWT_ISSUERS_FILE, value: /etc/pimsd/issuers.yaml}
        {{- end }}
        {{- if .Values.inwebo.proxySecret }}
        - {name: PIMSD_INWEBO_PROXY_URL_FILE, value: /run/secrets/inwebo-proxy/proxy_url}
        {{- end }}
        {{- if .Values.inwebo.caConfigMap }}
        - {name: PIMSD_INWEBO_CA_FILE, value: /etc/inwebo/ca.crt}
        {{- end }}
        {{- if .Values.inwebo.clientCertSecret }}
        - {name: PIMSD_INWEBO_CLIENT_CERT_FILE, value: /run/secrets/inwebo-client/tls.crt}
        - {name: PIMSD_INWEBO_CLIENT_KEY_FILE, value: /run/secrets/inwebo-client/tls.key}
        {{- end }}
      ports:
        - {name: api, containerPort: 8080}
        - {name: ops, containerPort: 9464}
        {{- if .Values.administration.enabled }}
        - {name: admin, containerPort: 8081}
        {{- end }}
      startupProbe:
        httpGet: {path: /livez, port: ops}
        periodSeconds: 1
        failureThreshold: 60
      {{- if not .Values.maintenance }}{{/* a pod in maintenance would never be ready, and a rollout would wait for it */}}
      readinessProbe:
        httpGet: {path: /readyz, port: ops}
        periodSeconds: 2
        timeoutSeconds: 3
        failureThreshold: 1
      {{- end }}
      livenessProbe:
        httpGet: {path: /livez, port: ops}
        periodSeconds: 10
        timeoutSeconds: 3
        failureThreshold: 6
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts:
        - {name: settings, mountPath: /etc/pimsd, readOnly: true}
        {{- if eq .Values.store.kind "sqlite" }}
        - {name: data, mountPath: /var/lib/pimsd}
        {{- end }}
        {{- if .Values.store.existingSecret }}
        - {name: secrets, mountPath: /run/secrets/pimsd, readOnly: true}
        {{- end }}
        {{- if .Values.inwebo.caConfigMap }}
        - {name: inwebo-ca, mountPath: /etc/inwebo, readOnly: true}
        {{- end }}
        {{- range $name, $secret := include "pimsd.secrets" . | fromYaml }}
        - {name: {{ $name }}, mountPath: /run/secrets/{{ $name }}, readOnly: true}
        {{- end }}
  volumes:
    - name: settings
      configMap: {name: {{ include "pimsd.name" . }}}
    {{- if .Values.store.existingSecret }}
    - name: secrets
      secret: {secretName: {{ .Values.store.existingSecret }}, defaultMode: 0440}
    {{- end }}
    {{- with .Values.inwebo.caConfigMap }}
    - name: inwebo-ca
      configMap: {name: {{ . }}}
    {{- end }}
    {{- range $name, $secret := include "pimsd.secrets" . | fromYaml }}
    - name: {{ $name }}
      secret: {secretName: {{ $secret }}, defaultMode: 0440}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.affinity }}
  affinity:
    {{- toYaml .Values.affinity | nindent 4 }}
  {{- else if eq .Values.store.kind "postgres" }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "pimsd.selector" . | nindent 10 }}
  {{- end }}
{{- end }}

{{- /* The Secrets besides that of the store, by the names of their volumes. */ -}}
{{- define "pimsd.secrets" -}}
{{- $all := dict "tls" .Values.tls.existingSecret "inwebo-proxy" .Values.inwebo.proxySecret "inwebo-client" .Values.inwebo.clientCertSecret }}
{{- range $name, $secret := $all }}
{{- if $secret }}
{{ $name }}: {{ $secret | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "pimsd.settings" -}}
{{- if .Values.settings }}{{ toYaml .Values.settings }}{{ else }}# every setting at its default{{ end }}
{{- end }}
