#!/bin/bash
# The first pod founds the cluster and the others join it through that one. A pod that comes back finds its place by what it
# has stored. The host's name ends in the pod's number.
set -euo pipefail
first=http://trivium-qdrant-0.trivium-qdrant-headless:6335
own=http://$HOSTNAME.trivium-qdrant-headless:6335
if [ "$own" = "$first" ]; then exec ./entrypoint.sh --uri "$own"; fi
exec ./entrypoint.sh --bootstrap "$first" --uri "$own"
