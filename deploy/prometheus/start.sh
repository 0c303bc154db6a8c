#!/bin/sh
# Starts Prometheus. Its configuration cannot name a variable, so Qdrant's key goes into a file first; without a key the file is empty.
set -eu
umask 077
printf %s "${QDRANT__SERVICE__READ_ONLY_API_KEY:-${QDRANT_API_KEY:-}}" > /tmp/qdrant-api-key
exec prometheus "$@"
