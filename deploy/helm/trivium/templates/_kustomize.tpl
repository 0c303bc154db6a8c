{{- /*
The base and the components of deploy/k8s, read from their own files, so that the chart describes what kustomize does and nothing has to be
kept equal. What is read is gathered in a dictionary, the state:

  root     the chart, its values and its files
  objects  by KIND/NAME
  configs  ConfigMaps by their names: data and labels
  images   of ours: what runs in the place of what
*/ -}}

{{- /* A file of the chart, with the name at which the stack is reached from outside, and the runbook's address. */ -}}
{{- define "trivium.file" -}}
{{- $text := .state.root.Files.Get .path -}}
{{- if not $text -}}{{- fail (printf "the chart has no file %s" .path) -}}{{- end -}}
{{- $text = $text | replace "rag.example.com" (.state.root.Values.host | default "rag.example.com") -}}
{{- $text | replace "docs/runbook.md" (.state.root.Values.runbook | default "docs/runbook.md") -}}
{{- end -}}

{{- /* A folder with a kustomization.yaml. */ -}}
{{- define "trivium.kustomization" -}}
{{- $state := .state -}}
{{- $folder := .folder -}}
{{- $kustomization := include "trivium.file" (dict "state" $state "path" (printf "%s/kustomization.yaml" $folder)) | fromYaml -}}
{{- range $kustomization.resources -}}
  {{- $path := clean (printf "%s/%s" $folder .) -}}
  {{- if hasSuffix ".yaml" $path -}}
    {{- range regexSplit "(?m)^---$" (include "trivium.file" (dict "state" $state "path" $path)) -1 -}}
      {{- $object := fromYaml . -}}
      {{- $_ := set $state.objects (printf "%s/%s" $object.kind $object.metadata.name) $object -}}
    {{- end -}}
  {{- else -}}
    {{- include "trivium.kustomization" (dict "state" $state "folder" $path) -}}
  {{- end -}}
{{- end -}}
{{- range $kustomization.labels -}}
  {{- $labels := .pairs -}}
  {{- range $state.objects -}}
    {{- $_ := set .metadata "labels" (merge (dict) $labels (.metadata.labels | default dict)) -}}
    {{- $spec := .spec | default dict -}}
    {{- range concat (list $spec.template) ($spec.volumeClaimTemplates | default list) | compact -}}
      {{- $_ := set .metadata "labels" (merge (dict) $labels (.metadata.labels | default dict)) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- range $kustomization.configMapGenerator -}}
  {{- include "trivium.config" (dict "state" $state "folder" $folder "config" . "kustomization" $kustomization) -}}
{{- end -}}
{{- range $wish := $kustomization.replicas -}}
  {{- range list "Deployment" "StatefulSet" -}}
    {{- with get $state.objects (printf "%s/%s" . $wish.name) -}}{{- $_ := set .spec "replicas" $wish.count -}}{{- end -}}
  {{- end -}}
{{- end -}}
{{- range $kustomization.images -}}{{- $_ := set $state.images .name .newName -}}{{- end -}}
{{- range $kustomization.patches -}}
  {{- $text := .patch -}}
  {{- if .path -}}{{- $text = include "trivium.file" (dict "state" $state "path" (printf "%s/%s" $folder .path)) -}}{{- end -}}
  {{- include "trivium.patch" (dict "state" $state "text" $text "target" .target) -}}
{{- end -}}
{{- end -}}

{{- /* A ConfigMap: lines NAME=VALUE, its own or of files, and whole files. */ -}}
{{- define "trivium.config" -}}
{{- $state := .state -}}
{{- $folder := .folder -}}
{{- if not (hasKey $state.configs .config.name) -}}
  {{- $labels := dict -}}
  {{- range .kustomization.labels -}}{{- $labels = merge $labels .pairs -}}{{- end -}}
  {{- with .kustomization.generatorOptions -}}{{- $labels = merge $labels .labels -}}{{- end -}}
  {{- $_ := set $state.configs .config.name (dict "data" dict "labels" $labels) -}}
{{- end -}}
{{- $data := (get $state.configs .config.name).data -}}
{{- $lines := .config.literals | default list -}}
{{- range .config.envs -}}
  {{- $lines = concat $lines (splitList "\n" (include "trivium.file" (dict "state" $state "path" (printf "%s/%s" $folder .)))) -}}
{{- end -}}
{{- range $lines -}}
  {{- if and (contains "=" .) (not (hasPrefix "#" .)) -}}
    {{- $pair := splitn "=" 2 . -}}
    {{- $_ := set $data $pair._0 $pair._1 -}}
  {{- end -}}
{{- end -}}
{{- range .config.files -}}
  {{- $_ := set $data (base .) ($state.root.Files.Get (printf "%s/%s" $folder .)) -}}
{{- end -}}
{{- end -}}

{{- /* A patch of either kind, to what its target names, or else to what it names itself. */ -}}
{{- define "trivium.patch" -}}
{{- $objects := .state.objects -}}
{{- $patch := fromYaml .text -}}
{{- $operations := list -}}
{{- if hasKey $patch "Error" -}}{{- $operations = fromYamlArray .text -}}{{- end -}}
{{- $kind := $patch.kind -}}
{{- $name := dig "metadata" "name" "" $patch -}}
{{- with .target -}}{{- $kind = .kind -}}{{- $name = .name -}}{{- end -}}
{{- range $key := keys $objects | sortAlpha -}}
  {{- if regexMatch (printf "^%s/(%s)$" $kind $name) $key -}}
    {{- if $operations -}}
      {{- include "trivium.operations" (dict "into" (get $objects $key) "operations" $operations) -}}
    {{- else if eq (get $patch "$patch") "delete" -}}
      {{- $_ := unset $objects $key -}}
    {{- else -}}
      {{- include "trivium.merge" (dict "into" (get $objects $key) "patch" (deepCopy $patch)) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}
