{{- /* Patches as kustomize and kubectl read them, on objects as dictionaries; both change `into` in place and print nothing. */ -}}

{{- /* A strategic merge: dictionaries key by key, lists of named things item by item, null takes away, all else is replaced. */ -}}
{{- define "trivium.merge" -}}
{{- $into := .into -}}
{{- range $key, $value := .patch -}}
  {{- $have := get $into $key -}}
  {{- if kindIs "invalid" $value -}}
    {{- $_ := unset $into $key -}}
  {{- else if and (kindIs "map" $value) (kindIs "map" $have) -}}
    {{- include "trivium.merge" (dict "into" $have "patch" $value) -}}
  {{- else if and (has $key (list "containers" "env" "envFrom" "ports" "volumes" "volumeMounts")) (kindIs "slice" $have) -}}
    {{- $by := dict "ports" "containerPort" "volumeMounts" "mountPath" -}}
    {{- $by = get $by $key | default "name" -}}
    {{- if and (eq $key "ports") (hasKey (first $have) "port") -}}{{- $by = "port" -}}{{- end -}}
    {{- range $item := $value -}}
      {{- $found := false -}}
      {{- range $one := $have -}}
        {{- if eq (toString (get $one $by)) (toString (get $item $by)) -}}
          {{- include "trivium.merge" (dict "into" $one "patch" $item) -}}
          {{- $found = true -}}
        {{- end -}}
      {{- end -}}
      {{- if not $found -}}{{- $have = append $have $item -}}{{- end -}}
    {{- end -}}
    {{- $_ := set $into $key $have -}}
  {{- else -}}
    {{- $_ := set $into $key $value -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- /* The operations of a JSON patch: add, replace and remove of keys of dictionaries, and add at the end of a list. */ -}}
{{- define "trivium.operations" -}}
{{- $root := .into -}}
{{- range $operation := .operations -}}
  {{- $steps := splitList "/" (trimPrefix "/" $operation.path) -}}
  {{- $at := $root -}}
  {{- $holder := $root -}}
  {{- range $step := initial $steps -}}
    {{- $holder = $at -}}
    {{- if kindIs "slice" $at -}}{{- $at = index $at (int $step) -}}{{- else -}}{{- $at = get $at $step -}}{{- end -}}
  {{- end -}}
  {{- $key := last $steps | replace "~1" "/" -}}
  {{- if and (kindIs "slice" $at) (kindIs "map" $holder) (eq $operation.op "add") (eq $key "-") -}}
    {{- $_ := set $holder (last (initial $steps)) (append $at $operation.value) -}}
  {{- else if not (kindIs "map" $at) -}}
    {{- fail (printf "the chart cannot patch %s" $operation.path) -}}
  {{- else if eq $operation.op "remove" -}}
    {{- $_ := unset $at $key -}}
  {{- else -}}
    {{- $_ := set $at $key $operation.value -}}
  {{- end -}}
{{- end -}}
{{- end -}}
