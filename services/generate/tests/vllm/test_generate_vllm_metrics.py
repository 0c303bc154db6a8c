"""What the real engine shows is what the dashboard and the alerts ask for."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path
from typing import Any

from trivium.generate.v1 import generate_service_pb2 as pb
from trivium.generate.v1 import generate_service_pb2_grpc
from trivium_serving.channels import open_channel

ROOT = Path(__file__).resolve().parents[4]
PASSAGES = [pb.Passage(text="The bridge opened in May 1937.", score=0.9)]


def _expressions() -> list[str]:
    dashboard = json.loads((ROOT / "deploy/grafana/dashboards/vllm.json").read_text(encoding="utf-8"))
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def _served(port: int) -> set[str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        return set(re.findall(r"^(vllm:\w+)", response.read().decode(), re.MULTILINE))


async def _ask(service: Any) -> None:
    async with open_channel(service.target) as channel:
        stub: Any = generate_service_pb2_grpc.GenerateServiceStub(channel)
        question = pb.GenerateRequest(
            question="When did it open?",
            passages=PASSAGES,
            mode=pb.GENERATE_MODE_MODEL,
            sampling=pb.Sampling(max_tokens=16),
        )
        async for _ in stub.Generate(question, timeout=60):
            pass


async def test_vllm_shows_every_metric_that_rules_and_dashboards_name(service: Any) -> None:
    await _ask(service)
    rules = [path.read_text(encoding="utf-8") for path in (ROOT / "deploy/prometheus/rules").glob("*.yml")]
    named = set(re.findall(r"vllm:\w+", "\n".join([*rules, *_expressions()])))

    assert named
    assert not named - _served(service.metrics_port)
