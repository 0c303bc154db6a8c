{{- /* What the values say, on top of the base and the components. */ -}}

{{- /* Settings, replicas, resources and the pod of each service. */ -}}
{{- define "trivium.services" -}}
{{- $state := .state -}}
{{- range $service := list "gateway" "embed" "rerank" "generate" "qdrant" -}}
  {{- $values := get $state.root.Values $service -}}
  {{- $name := printf "trivium-%s" $service -}}
  {{- $data := (get $state.configs $name).data -}}
  {{- range $variable, $value := $values.settings -}}{{- $_ := set $data $variable (toString $value) -}}{{- end -}}
  {{- range $kind := list "Deployment" "StatefulSet" "LeaderWorkerSet" -}}
    {{- with get $state.objects (printf "%s/%s" $kind $name) -}}
      {{- if not (kindIs "invalid" $values.replicas) -}}{{- $_ := set .spec "replicas" $values.replicas -}}{{- end -}}
      {{- $template := .spec.template | default (dig "leaderWorkerTemplate" "leaderTemplate" dict .spec) -}}
      {{- with $values.resources -}}{{- $_ := set (first $template.spec.containers) "resources" . -}}{{- end -}}
      {{- include "trivium.merge" (dict "into" $template.spec "patch" (deepCopy $values.pod)) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- /* A pod's images, and a checksum of each ConfigMap that it reads, so that a changed one restarts it. */ -}}
{{- define "trivium.pod" -}}
{{- $state := .state -}}
{{- $image := $state.root.Values.image -}}
{{- $metadata := .template.metadata -}}
{{- $spec := .template.spec -}}
{{- range $container := $spec.containers -}}
  {{- if hasPrefix "trivium/" $container.image -}}
    {{- $name := index (splitList ":" $container.image) 0 -}}
    {{- $name = get $state.images $name | default $name | trimPrefix "trivium/" -}}
    {{- $tag := $image.tag | default $state.root.Chart.AppVersion -}}
    {{- $_ := set $container "image" (printf "%s/%s:%s" $image.prefix $name $tag) -}}
    {{- $_ := set $container "imagePullPolicy" $image.pullPolicy -}}
  {{- end -}}
{{- end -}}
{{- if $image.pullSecrets -}}
  {{- $secrets := list -}}
  {{- range $image.pullSecrets -}}{{- $secrets = append $secrets (dict "name" .) -}}{{- end -}}
  {{- $_ := set $spec "imagePullSecrets" $secrets -}}
{{- end -}}
{{- $read := dict -}}
{{- range $name, $config := $state.configs -}}
  {{- if contains (printf "name: %s\n" $name) (printf "%s\n" (toYaml $spec)) -}}{{- $_ := set $read $name $config.data -}}{{- end -}}
{{- end -}}
{{- if $read -}}
  {{- $annotations := merge (dict "trivium.dev/configuration" (toJson $read | sha256sum)) ($metadata.annotations | default dict) -}}
  {{- $_ := set $metadata "annotations" $annotations -}}
{{- end -}}
{{- end -}}
