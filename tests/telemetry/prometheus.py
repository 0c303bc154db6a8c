"""A real Prometheus on a port of its own, with the rules of this repository."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml
from ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[2]
RULES = sorted((ROOT / "deploy/prometheus/rules").glob("*.yml"))


def tool(name: str) -> str:
    """Where `prometheus` or `promtool` is; the test is skipped if it is nowhere."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed; on Debian: apt-get install prometheus")
    return path


class Prometheus:
    """One that runs.

    Args:
        url: Its address.
    """

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=30)

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            return self._http.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What an expression gives now.

        Raises:
            AssertionError: It is no expression.
        """
        answer = self._http.post("/api/v1/query", data={"query": expression}).json()
        assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def scrape_errors(self) -> list[str]:
        """What the last scrape of each target ended with, if not well."""
        targets = self._http.get("/api/v1/targets").json()["data"]["activeTargets"]
        return [f"{one['scrapeUrl']}: {one['health']} {one['lastError']}" for one in targets if one["health"] != "up"]

    def broken_rules(self) -> list[str]:
        """Rules whose evaluation failed, or that were not evaluated yet."""
        groups = self._http.get("/api/v1/rules").json()["data"]["groups"]
        return [
            f"{rule['name']}: {rule['health']} {rule.get('lastError', '')}"
            for group in groups
            for rule in group["rules"]
            if rule["health"] != "ok"
        ]


@contextmanager
def running_prometheus(
    folder: Path, targets: Mapping[str, str], *, namespace: str | None = None
) -> Iterator[Prometheus]:
    """Runs one that scrapes every second.

    Args:
        folder: For its data.
        targets: Address by job.
        namespace: Of a cluster, if the targets are to have the labels of pods there: `JOB-0` is the pod.
    """
    program = tool("prometheus")
    for path in RULES:
        rules = yaml.safe_load(path.read_text())
        for group in rules["groups"]:
            group["interval"] = "1s"
        (folder / path.name).write_text(yaml.safe_dump(rules))
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [path.name for path in RULES],
        "scrape_configs": [
            {
                "job_name": job,
                "static_configs": [
                    {
                        "targets": [address],
                        "labels": {"namespace": namespace, "pod": f"{job}-0"} if namespace else {},
                    }
                ],
            }
            for job, address in targets.items()
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    with open(folder / "prometheus.log", "wb") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        yield Prometheus(f"http://{address}")
    finally:
        process.terminate()
        process.wait(timeout=30)
