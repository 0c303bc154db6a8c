"""The pods of a group, which hold one language model together, tell their parts of vLLM the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from deploy.kubernetes_builds import FOLDER, environment, pods

if TYPE_CHECKING:
    from pathlib import Path

SCRIPTS = FOLDER / "components/vllm-groups"
GROUP = {
    "LWS_LEADER_ADDRESS": "localhost",
    "LWS_GROUP_SIZE": "2",
    "LWS_WORKER_INDEX": "1",
    "VLLM_HOST_IP": "10.0.0.1",
    "TRIVIUM_GENERATE_ADAPTERS": '{"legal": "/models/legal"}',
}


def _run(command: list[str], program: str, prints: str, folder: Path, arguments: str = "") -> str:
    """What a script starts in the end: `program` is the one that it becomes, and prints something instead."""
    stand_in = folder / program
    stand_in.write_text(f"#!/bin/sh\n{prints}\n")
    stand_in.chmod(0o755)
    (settings,) = (environment("large", one) for one in pods("large") if one.owner.endswith("/worker"))
    given = settings | GROUP | ({"TRIVIUM_GENERATE_ENGINE_ARGS": arguments} if arguments else {})
    path = f"{folder}:{os.environ['PATH']}"
    return subprocess.run(command, env={**given, "PATH": path}, capture_output=True, text=True, check=True).stdout


def test_leader_of_a_group_adds_who_it_is_to_the_engine_arguments(tmp_path: Path) -> None:
    script = ["sh", str(SCRIPTS / "leader.sh")]
    shown = json.loads(_run(script, "python3", 'printf %s "$TRIVIUM_GENERATE_ENGINE_ARGS"', tmp_path))

    assert (shown["tensor_parallel_size"], shown["pipeline_parallel_size"]) == (8, 2)
    assert (shown["nnodes"], shown["node_rank"], shown["master_addr"]) == (2, 0, "10.0.0.1")


def test_worker_of_a_group_makes_flags_of_the_same_engine_arguments(tmp_path: Path) -> None:
    script = [sys.executable, str(SCRIPTS / "worker.py")]
    arguments = {"tensor_parallel_size": 8, "enforce_eager": True, "enable_prefix_caching": False, "x": {"a": [1]}}
    shown = _run(script, "vllm", 'printf "%s\\n" "$@"', tmp_path, json.dumps(arguments)).splitlines()

    assert shown[:2] == ["serve", "Qwen/Qwen2.5-72B-Instruct"]
    assert shown[2:] == [
        *("--enable-lora", "--tensor-parallel-size", "8", "--enforce-eager", "--no-enable-prefix-caching"),
        *("--x", '{"a": [1]}', "--headless", "--nnodes", "2", "--node-rank", "1", "--master-addr", "localhost"),
    ]
