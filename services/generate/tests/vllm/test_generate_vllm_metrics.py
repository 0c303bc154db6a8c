"""What the real engine shows is what the dashboard and the alerts ask for."""

from __future__ import annotations

import asyncio
import re
import time
import urllib.request
from typing import TYPE_CHECKING, Any

from e2e.stack import wait_until
from telemetry.expressions import DASHBOARDS, panel_expressions, rules
from telemetry.prometheus import running_prometheus
from trivium.generate.v1 import generate_service_pb2 as pb
from trivium.generate.v1 import generate_service_pb2_grpc
from trivium_serving.channels import open_channel

if TYPE_CHECKING:
    from pathlib import Path

PASSAGES = [pb.Passage(text="The bridge opened in May 1937.", score=0.9)]
DASHBOARD = next(path for path in DASHBOARDS if path.stem == "vllm")


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
    expressions = [*(rule["expr"] for rule in rules()), *panel_expressions(DASHBOARD).values()]
    named = set(re.findall(r"vllm:\w+", "\n".join(expressions)))

    assert named
    assert not named - _served(service.metrics_port)


async def test_vllm_dashboard_shows_data_in_every_panel(service: Any, tmp_path: Path) -> None:
    expressions = panel_expressions(DASHBOARD)
    with running_prometheus(tmp_path, {"generate": f"127.0.0.1:{service.metrics_port}"}) as prometheus:
        await asyncio.to_thread(wait_until, prometheus.ready, "Prometheus")
        empty = list(expressions)
        end = time.monotonic() + 60
        while empty := [where for where in empty if not prometheus.query(expressions[where])]:
            assert time.monotonic() < end, f"nothing for {empty}; scrapes: {prometheus.scrape_errors() or 'well'}"
            await _ask(service)
