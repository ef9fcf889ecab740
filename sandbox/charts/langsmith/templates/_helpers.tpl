{{/* Names. Everything is called <fullname>-<component>, and fullname is the release's name where that says langsmith. */}}
{{- define "ls.name" -}}
{{ .Values.nameOverride | default .Chart.Name }}
{{- end }}

{{- define "ls.fullname" -}}
{{- $name := include "ls.name" . -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}
{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{- define "ls.namespace" -}}
{{ .Values.namespace | default .Release.Namespace }}
{{- end }}

{{/* The address of a service inside the cluster; takes root, name (without fullname) and port. */}}
{{- define "ls.url" -}}
http://{{ include "ls.fullname" .root }}-{{ .name }}.{{ include "ls.namespace" .root }}.svc.{{ .root.Values.clusterDomain }}:{{ .port }}
{{- end }}

{{- define "ls.selector" -}}
app.kubernetes.io/name: {{ include "ls.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "ls.marks" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{ include "ls.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/*
The metadata of an object. Takes root, name, and optionally component (a label), early (Argo CD's wave),
labels, annotations.
*/}}
{{- define "ls.metadata" -}}
{{- $marks := include "ls.marks" .root | fromYaml -}}
{{- $labels := merge (dict) ($marks) (.labels | default dict) .root.Values.commonLabels -}}
{{- if .component -}}{{- $_ := set $labels "app.kubernetes.io/component" .component -}}{{- end -}}
{{- $annotations := merge (dict) (.annotations | default dict) $marks .root.Values.commonAnnotations -}}
{{- if .early -}}{{- $_ := set $annotations "argocd.argoproj.io/sync-wave" "-2" -}}{{- end -}}
name: {{ .name }}
namespace: {{ include "ls.namespace" .root }}
labels: {{- toYaml $labels | nindent 2 }}
annotations: {{- toYaml $annotations | nindent 2 }}
{{- end }}

{{- define "ls.image" -}}
{{- $image := index .root.Values.images .image -}}
{{ with .root.Values.images.registry }}{{ . }}/{{ end }}{{ $image.repository }}:{{ $image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{/* The name of a component's service account; takes root, component (its values), fullname. */}}
{{- define "ls.account" -}}
{{- if .component.serviceAccount.create -}}
{{ .component.serviceAccount.name | default .fullname | trunc 63 | trimSuffix "-" }}
{{- else -}}
{{ .component.serviceAccount.name | default "default" }}
{{- end -}}
{{- end }}

{{- define "ls.accountObject" -}}
{{- if .component.serviceAccount.create }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "ls.metadata" (dict "root" .root "name" (include "ls.account" .) "early" (not .late) "annotations" .component.serviceAccount.annotations) | nindent 2 }}
automountServiceAccountToken: {{ .component.serviceAccount.automountServiceAccountToken }}
{{- end }}
{{- end }}

{{- define "ls.secret" -}}
{{ .Values.config.existingSecretName | default (printf "%s-secrets" (include "ls.fullname" .)) }}
{{- end }}

{{/* The secret of a store; takes root and store (postgres, redis, clickhouse). */}}
{{- define "ls.storeSecret" -}}
{{- $store := index .root.Values .store -}}
{{ $store.external.existingSecretName | default (printf "%s-%s" (include "ls.fullname" .root) .store) }}
{{- end }}

{{/* A variable out of a secret; takes root, name, secret, key and perhaps optional. */}}
{{- define "ls.fromSecret" -}}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: {{ .key }}, optional: {{ .optional | default .root.Values.config.disableSecretCreation }}}}
{{- end }}

{{- define "ls.hostname" -}}
{{ regexReplaceAll "^[a-zA-Z][a-zA-Z0-9+.-]*://" .Values.config.hostname "" }}
{{- end }}

{{- define "ls.publicApi" -}}
{{- $host := .Values.config.hostname -}}
{{- if and $host (not (contains "://" $host)) -}}{{- $host = printf "https://%s" $host -}}{{- end -}}
{{ $host }}{{ with .Values.config.basePath }}/{{ . }}{{ end }}/api
{{- end }}

{{/* The environment that all but playground and ace-backend share, as a YAML list. */}}
{{- define "ls.sharedEnv" -}}
{{- $root := . -}}
{{- $config := .Values.config -}}
{{- $secret := include "ls.secret" . -}}
{{- $postgres := include "ls.storeSecret" (dict "root" . "store" "postgres") -}}
{{- $redis := include "ls.storeSecret" (dict "root" . "store" "redis") -}}
{{- $clickhouse := include "ls.storeSecret" (dict "root" . "store" "clickhouse") -}}
{{ include "ls.fromSecret" (dict "root" . "name" "POSTGRES_DATABASE_URI" "secret" $postgres "key" .Values.postgres.external.connectionUrlSecretKey) }}
{{- with .Values.postgres.external }}
{{- if .enabled }}
- {name: POSTGRES_SCHEMA, value: {{ .schema | quote }}}
- {name: POSTGRES_TLS, value: {{ .customTls | quote }}}
{{- if .clientCert.secretName }}
- {name: POSTGRES_TLS_CLIENT_CERT_PATH, value: /etc/postgres/certs/client.crt}
- {name: POSTGRES_TLS_CLIENT_KEY_PATH, value: /etc/postgres/certs/client.key}
{{- end }}
{{- end }}
{{- end }}
{{- if $config.hostname }}
- name: LANGSMITH_URL
  value: {{ regexReplaceAll "^[a-zA-Z][a-zA-Z0-9+.-]*://" ($config.frontendHostname | default $config.hostname) "" }}{{ with $config.basePath }}/{{ . }}{{ end }}
- {name: HOST_BACKEND_ENDPOINT_PUBLIC, value: {{ printf "%s/api-host" $config.hostname | quote }}}
{{- end }}
- {name: FLEET_FEATURE_ENABLED, value: "false"}
- {name: REDIS_CLUSTER_ENABLED, value: {{ .Values.redis.external.cluster.enabled | quote }}}
{{- with .Values.redis.external }}
{{- if .cluster.enabled }}
{{ include "ls.fromSecret" (dict "root" $root "name" "REDIS_CLUSTER_DATABASE_URIS" "secret" $redis "key" .cluster.nodeUrisSecretKey) }}
{{ include "ls.fromSecret" (dict "root" $root "name" "REDIS_CLUSTER_PASSWORD" "secret" $redis "key" .cluster.passwordSecretKey) }}
- {name: REDIS_CLUSTER_USE_SSL_CONNECTION, value: {{ .cluster.tlsEnabled | quote }}}
{{- else }}
{{ include "ls.fromSecret" (dict "root" $root "name" "REDIS_DATABASE_URI" "secret" $redis "key" .connectionUrlSecretKey) }}
- {name: REDIS_CLUSTER_SAFE_MODE, value: {{ .clusterSafeMode | quote }}}
{{- end }}
{{- if .clientCert.secretName }}
- {name: REDIS_TLS_CLIENT_CERT_PATH, value: /etc/redis/certs/client.crt}
- {name: REDIS_TLS_CLIENT_KEY_PATH, value: /etc/redis/certs/client.key}
{{- end }}
{{- end }}
{{- range $name, $provider := dict "POSTGRES" .Values.postgres.external.iamAuthProvider "REDIS" .Values.redis.external.iamAuthProvider }}
{{- if $provider }}
- {name: {{ $name }}_IAM_AUTH_PROVIDER, value: {{ $provider | quote }}}
{{- end }}
{{- end }}
{{- with .Values.clickhouse.external }}
- {name: CLICKHOUSE_HYBRID, value: {{ .hybrid | quote }}}
{{- range $name, $key := dict "DB" .databaseSecretKey "HOST" .hostSecretKey "PORT" .portSecretKey "NATIVE_PORT" .nativePortSecretKey "USER" .userSecretKey "PASSWORD" .passwordSecretKey "TLS" .tlsSecretKey }}
{{ include "ls.fromSecret" (dict "root" $root "name" (printf "CLICKHOUSE_%s" $name) "secret" $clickhouse "key" $key) }}
{{- end }}
{{- if .clientCert.secretName }}
- {name: CLICKHOUSE_TLS_CLIENT_CERT_PATH, value: /etc/clickhouse/certs/client.crt}
- {name: CLICKHOUSE_TLS_CLIENT_KEY_PATH, value: /etc/clickhouse/certs/client.key}
{{- end }}
- {name: CLICKHOUSE_CLUSTER, value: {{ .cluster | quote }}}
{{- end }}
- {name: LOG_LEVEL, value: {{ $config.logLevel | quote }}}
{{- $keys := dict "LANGSMITH_LICENSE_KEY" "langsmith_license_key" "LANGGRAPH_CLOUD_LICENSE_KEY" "langsmith_license_key" "API_KEY_SALT" "api_key_salt" }}
{{- if $config.basicAuth.enabled }}{{- $_ := set $keys "BASIC_AUTH_JWT_SECRET" "jwt_secret" }}{{- end }}
{{- if $config.oauth.enabled }}
{{- $_ := set $keys "OAUTH_CLIENT_ID" "oauth_client_id" }}
{{- $_ := set $keys "OAUTH_ISSUER_URL" "oauth_issuer_url" }}
{{- if eq $config.authType "mixed" }}{{- $_ := set $keys "OAUTH_CLIENT_SECRET" "oauth_client_secret" }}{{- end }}
{{- end }}
{{- $given := list }}
{{- range .Values.commonEnv }}{{- $given = append $given .name }}{{- end }}
{{- if not (has "X_SERVICE_AUTH_JWT_SECRET" $given) }}{{- $_ := set $keys "X_SERVICE_AUTH_JWT_SECRET" "api_key_salt" }}{{- end }}
{{- if .Values.insights.enabled }}{{- $_ := set $keys "CLIO_ENCRYPTION_KEY" "insights_encryption_key" }}{{- end }}
{{- if .Values.polly.enabled }}{{- $_ := set $keys "POLLY_ENCRYPTION_KEY" "polly_encryption_key" }}{{- end }}
{{- range $name, $key := $keys }}
{{ include "ls.fromSecret" (dict "root" $root "name" $name "secret" $secret "key" $key) }}
{{- end }}
{{- if .Values.insights.enabled }}
{{ include "ls.fromSecret" (dict "root" . "name" "CLIO_ENCRYPTION_KEY_PREVIOUS" "secret" $secret "key" "insights_encryption_key_previous" "optional" true) }}
{{- end }}
- {name: BASIC_AUTH_ENABLED, value: {{ $config.basicAuth.enabled | quote }}}
- {name: FF_ORG_CREATION_DISABLED, value: {{ $config.userOrgCreationDisabled | quote }}}
- {name: FF_PERSONAL_ORGS_DISABLED, value: {{ $config.personalOrgsDisabled | quote }}}
{{- with $config.ttl }}
{{- if .enabled }}
- {name: FF_TRACE_TIERS_ENABLED, value: "true"}
- {name: FF_UPGRADE_TRACE_TIER_ENABLED, value: "true"}
- name: TRACE_TIER_TTL_DURATION_SEC_MAP
  value: {{ printf "{ \"longlived\": %v, \"shortlived\": %v }" .ttl_period_seconds.longlived .ttl_period_seconds.shortlived | quote }}
{{- end }}
{{- end }}
{{- if $config.workspaceScopeOrgInvitesEnabled }}
- {name: FF_WORKSPACE_SCOPE_ORG_INVITES_ENABLED, value: "true"}
{{- end }}
{{- if $config.infoEndpointAuthRequired }}
- {name: FF_INFO_ENDPOINT_AUTH_REQUIRED, value: "true"}
{{- end }}
{{- with $config.blobStorage }}
{{- if .enabled }}
- {name: FF_S3_STORAGE_ENABLED, value: "true"}
- {name: FF_BLOB_STORAGE_ENABLED, value: "true"}
- {name: BLOB_STORAGE_ENGINE, value: {{ .engine | quote }}}
- {name: MIN_BLOB_STORAGE_SIZE_KB, value: {{ ternary 0 .minBlobStorageSizeKb $root.Values.clickhouse.external.hybrid | quote }}}
- {name: S3_BUCKET_NAME, value: {{ .bucketName | quote }}}
- {name: S3_RUN_MANIFEST_BUCKET_NAME, value: {{ .bucketName | quote }}}
- {name: S3_API_URL, value: {{ .apiURL | quote }}}
{{ include "ls.fromSecret" (dict "root" $root "name" "S3_ACCESS_KEY" "secret" $secret "key" "blob_storage_access_key" "optional" true) }}
{{ include "ls.fromSecret" (dict "root" $root "name" "S3_ACCESS_KEY_SECRET" "secret" $secret "key" "blob_storage_access_key_secret" "optional" true) }}
- {name: S3_USE_PATH_STYLE, value: {{ .s3UsePathStyle | quote }}}
{{- if .kmsEncryptionEnabled }}
- {name: S3_KMS_ENCRYPTION_ENABLED, value: "true"}
{{- with .kmsKeyArn }}
- {name: S3_KMS_KEY_ARN, value: {{ . | quote }}}
{{- end }}
{{- end }}
{{- end }}
- {name: FF_CH_SEARCH_ENABLED, value: {{ and $root.Values.clickhouse.enabled (not $root.Values.clickhouse.external.hybrid) .chSearchEnabled | quote }}}
{{- end }}
- {name: REDIS_RUNS_EXPIRY_SECONDS, value: {{ $config.settings.redisRunsExpirySeconds | quote }}}
- {name: ENABLE_LGP_DEPLOYMENT_HEALTH_CHECK, value: {{ $config.deployment.ingressHealthCheckEnabled | quote }}}
- {name: ENABLE_UNCAPPED_LGP_DEPLOYMENT_RESOURCES, value: {{ $config.deployment.uncappedResourcesEnabled | quote }}}
{{- if $config.customCa.secretName }}
- {name: SSL_CERT_FILE, value: /etc/ssl/certs/custom-ca-certificates.crt}
{{- end }}
{{- if .Values.ingestQueue.enabled }}
- {name: GO_QUEUE_ENABLED_ALL, value: "true"}
- {name: GO_FEEDBACK_QUEUE_ENABLED_ALL, value: "true"}
- {name: FF_PERSIST_BATCHED_RUNS_SUCCESS_LOGGING, value: "true"}
{{- end }}
{{- end }}

{{/* Where backend and queue find Insights, as a YAML list. */}}
{{- define "ls.insightsEnv" -}}
{{- if .Values.insights.enabled -}}
- {name: CLIO_LANGGRAPH_URL, value: {{ include "ls.url" (dict "root" . "name" (printf "%s-%s" .Values.engineInsightsAgent.namePrefix .Values.engineInsightsAgent.apiServer.name) "port" .Values.engineInsightsAgent.apiServer.service.httpPort) }}}
- {name: CLIO_ASSISTANT_ID, value: insights}
{{- else -}}
[]
{{- end -}}
{{- end }}

{{/* Fails when two variables of a list share a name. */}}
{{- define "ls.refuseDuplicates" -}}
{{- $seen := list -}}
{{- $twice := list -}}
{{- range . -}}
{{- if has .name $seen -}}{{- $twice = append $twice .name -}}{{- end -}}
{{- $seen = append $seen .name -}}
{{- end -}}
{{- if $twice -}}{{- fail (printf "Duplicate keys detected: %v" $twice) -}}{{- end -}}
{{- end }}

{{/* Where certificates come from and go to: a list of volume, its secret, mount path, file names by key. */}}
{{- define "ls.certificates" -}}
{{- if .Values.config.customCa.secretName }}
- volume: langsmith-custom-ca
  secret: {{ .Values.config.customCa.secretName }}
  items: [{key: {{ .Values.config.customCa.secretKey }}, path: ca-certificates.crt}]
  mount: {mountPath: /etc/ssl/certs/custom-ca-certificates.crt, subPath: ca-certificates.crt}
{{- end }}
{{- range $store := list "redis" "postgres" "clickhouse" }}
{{- with (index $.Values $store).external.clientCert }}
{{- if .secretName }}
- volume: {{ $store }}-client-cert
  secret: {{ .secretName }}
  items: [{key: {{ .certSecretKey }}, path: client.crt, mode: 420}, {key: {{ .keySecretKey }}, path: client.key, mode: 416}]
  mount: {mountPath: /etc/{{ $store }}/certs}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/*
A pod template. Takes root, fullname (the component label), container (its name), image, account, settings (the
component's deployment, statefulSet or Job values), env, and optionally ports, sharedConfig (mount the ConfigMap's
variables), certificates, volumes, mounts, checksums, restartPolicy, sandboxed (nothing common goes in), annotations.
*/}}
{{- define "ls.pod" -}}
{{- $root := .root -}}
{{- $settings := .settings -}}
{{- $common := ternary (dict "commonVolumes" list "commonVolumeMounts" list "commonInitContainers" list) $root.Values (.sandboxed | default false) -}}
{{- $volumes := concat $common.commonVolumes ($settings.volumes | default list) (.volumes | default list) -}}
{{- $mounts := concat $common.commonVolumeMounts ($settings.volumeMounts | default list) (.mounts | default list) -}}
{{- if .certificates -}}
{{- range include "ls.certificates" $root | fromYamlArray -}}
{{- $volumes = append $volumes (dict "name" .volume "secret" (dict "secretName" .secret "items" .items)) -}}
{{- $mounts = append $mounts (merge (dict "name" .volume "readOnly" true) .mount) -}}
{{- end -}}
{{- end -}}
{{- $annotations := merge (dict) (.checksums | default dict) ($settings.annotations | default dict) (ternary dict $root.Values.commonPodAnnotations (.job | default false)) -}}
{{- $labels := merge (dict "app.kubernetes.io/component" .fullname) (include "ls.marks" $root | fromYaml) ($settings.labels | default dict) $root.Values.commonLabels -}}
metadata:
  {{- with $annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
  labels: {{- toYaml $labels | nindent 4 }}
spec:
  serviceAccountName: {{ .account }}
  securityContext: {{- toYaml (merge (dict) ($settings.podSecurityContext | default dict) $root.Values.commonPodSecurityContext) | nindent 4 }}
  {{- with .restartPolicy }}
  restartPolicy: {{ . }}
  {{- end }}
  {{- with $settings.terminationGracePeriodSeconds }}
  terminationGracePeriodSeconds: {{ . }}
  {{- end }}
  {{- if and $root.Values.commonDnsConfig (not .job) }}
  dnsConfig: {{- toYaml $root.Values.commonDnsConfig | nindent 4 }}
  {{- end }}
  {{- with $root.Values.images.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with concat $common.commonInitContainers ($settings.initContainers | default list) }}
  initContainers: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- range $key := list "priorityClassName" "nodeSelector" "affinity" "tolerations" "topologySpreadConstraints" }}
  {{- with index $settings $key }}
  {{ $key }}: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  containers:
    - name: {{ .container }}
      image: {{ include "ls.image" . | quote }}
      imagePullPolicy: {{ (index $root.Values.images .image).pullPolicy }}
      {{- with $settings.command }}
      command: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .env }}
      env: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if .sharedConfig }}
      envFrom: [{configMapRef: {name: {{ include "ls.fullname" $root }}-config}}]
      {{- end }}
      {{- with .ports }}
      ports: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- range $key := list "startupProbe" "livenessProbe" "readinessProbe" "lifecycle" }}
      {{- with index $settings $key }}
      {{ $key }}: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- end }}
      resources: {{- toYaml ($settings.resources | default dict) | nindent 8 }}
      securityContext: {{- toYaml ($settings.securityContext | default dict) | nindent 8 }}
      {{- with $mounts }}
      volumeMounts: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $settings.extraContainerConfig }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- with $settings.sidecars }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $volumes }}
  volumes: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* What makes pods start anew when a configuration of the chart's own changes; a secret from outside does not. */}}
{{- define "ls.checksums" -}}
checksum/config: {{ include (print $.Template.BasePath "/config.yaml") . | sha256sum }}
checksum/frontend-config: {{ include (print $.Template.BasePath "/frontend-config.yaml") . | sha256sum }}
{{- range $name, $outside := dict "secrets" .Values.config.existingSecretName "postgres" .Values.postgres.external.existingSecretName "redis" .Values.redis.external.existingSecretName "clickhouse" .Values.clickhouse.external.existingSecretName }}
{{- if not $outside }}
checksum/{{ $name }}: {{ include (print $.Template.BasePath "/secrets.yaml") $ | sha256sum }}
{{- end }}
{{- end }}
{{- end }}
