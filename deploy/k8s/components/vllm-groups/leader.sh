#!/bin/sh
# The first node of a group: the generation service. It answers extractively from the start; its engine waits for the other nodes.
set -eu
group="\"nnodes\": $LWS_GROUP_SIZE, \"node_rank\": 0, \"master_addr\": \"$VLLM_HOST_IP\""
export TRIVIUM_GENERATE_ENGINE_ARGS="${TRIVIUM_GENERATE_ENGINE_ARGS%\}}, $group}"
exec python3 -m trivium_generate
