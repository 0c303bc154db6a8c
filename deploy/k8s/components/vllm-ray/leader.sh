#!/bin/sh
# Becomes Ray's head, and then the generation service. It answers extractively from the start; vLLM waits for the workers.
set -eu
ray start --head --port=6379 --node-ip-address="$VLLM_HOST_IP" --include-dashboard=false --disable-usage-stats
exec python3 -m trivium_generate
