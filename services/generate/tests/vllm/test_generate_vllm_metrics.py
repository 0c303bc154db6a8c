"""What the real engine shows is what the dashboard and the alerts ask for."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from trivium.generate.v1 import generate_service_pb2 as pb
from trivium.generate.v1 import generate_service_pb2_grpc
from trivium_serving.channels import open_channel

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[4]
PASSAGES = [pb.Passage(text="The bridge opened in May 1937.", score=0.9)]


def _expressions() -> dict[str, str]:
    dashboard = json.loads((ROOT / "deploy/grafana/dashboards/vllm.json").read_text(encoding="utf-8"))
    return {
        f"{panel['title']}, {target['refId']}": target["expr"].replace("$__rate_interval", "30s")
        for panel in dashboard["panels"]
        for target in panel["targets"]
    }


@pytest.fixture
def prometheus(tmp_path: Path, shared_service: Any) -> Iterator[str]:
    """A Prometheus that scrapes the service every second."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed; on Debian: apt-get install prometheus")
    target = f"127.0.0.1:{shared_service.metrics_port}"
    scrape = {"job_name": "generate", "scrape_interval": "1s", "static_configs": [{"targets": [target]}]}
    config = tmp_path / "prometheus.yml"
    config.write_text(json.dumps({"scrape_configs": [scrape]}), encoding="utf-8")  # JSON is YAML
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    process = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={tmp_path / 'tsdb'}",
            f"--web.listen-address={address}",
        ],
        stderr=subprocess.DEVNULL,
    )
    yield f"http://{address}"
    process.terminate()
    process.wait(timeout=30)


def _result(prometheus: str, expression: str) -> list[Any]:
    query = urllib.parse.urlencode({"query": expression})
    try:
        with urllib.request.urlopen(f"{prometheus}/api/v1/query?{query}", timeout=10) as response:
            result: list[Any] = json.load(response)["data"]["result"]
            return result
    except urllib.error.HTTPError as error:
        assert error.code == 503, f"{expression}: {error.read().decode()}"  # 503: it is starting
    except urllib.error.URLError:
        pass
    return []


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
    rules = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "deploy/prometheus/rules").glob("*.yml"))
    named = set(re.findall(r"vllm:\w+", "\n".join([rules, *_expressions().values()])))
    served = _served(service.metrics_port)

    assert named
    assert not named - served


async def test_vllm_dashboard_shows_data_in_every_panel(service: Any, prometheus: str) -> None:
    end = time.monotonic() + 30
    empty = set(_expressions())
    while empty:
        await _ask(service)
        empty = {where for where, expression in _expressions().items() if not _result(prometheus, expression)}
        assert time.monotonic() < end, f"no data in {empty}"
