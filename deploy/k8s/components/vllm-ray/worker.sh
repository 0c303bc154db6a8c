#!/bin/sh
# Joins the leader, whose name may not resolve yet. Ends when Ray does, and then the group starts anew.
set -eu
until ray health-check --address "$LWS_LEADER_ADDRESS:6379" >/dev/null 2>&1; do sleep 2; done
exec ray start --address="$LWS_LEADER_ADDRESS:6379" --node-ip-address="$VLLM_HOST_IP" --disable-usage-stats --block
