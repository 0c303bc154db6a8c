"""The room of Qdrant's volume is measured by what compose runs for it, as the rules ask for it."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import httpx
import pytest
import yaml
from e2e.stack import wait_until
from ports import free_port
from prometheus_client.parser import text_string_to_metric_families
from telemetry.expressions import ROOT, rules

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]


def _asked() -> dict[str, str]:
    """The metrics of node_exporter that rules name, each with the mount point that it is asked for."""
    text = "\n".join(rule["expr"] for rule in rules())
    return dict(re.findall(r'(node_\w+)\{mountpoint="([^"]+)"\}', text))


def test_exporter_shares_qdrants_volume_where_the_rules_look_for_it() -> None:
    (volume,) = (one.split(":") for one in COMPOSE["disk"]["volumes"])
    (stored,) = (one.split(":") for one in COMPOSE["qdrant"]["volumes"])

    assert volume == [*stored, "ro"]
    assert set(_asked().values()) == {volume[1]}
    for name in ("prometheus", "prometheus-tls"):
        jobs = yaml.safe_load((ROOT / f"deploy/prometheus/{name}.yml").read_text(encoding="utf-8"))["scrape_configs"]
        assert [{"targets": ["disk:9100"]}] in [job.get("static_configs") for job in jobs]


def test_exporter_with_the_flags_of_compose_serves_what_the_rules_ask_for() -> None:
    program = shutil.which("prometheus-node-exporter") or shutil.which("node_exporter")
    if program is None:
        pytest.skip("node_exporter is not installed; on Debian: apt-get install prometheus-node-exporter")
    address = f"127.0.0.1:{free_port()}"
    flags = [flag.replace("$$", "$") for flag in COMPOSE["disk"]["command"]]
    exporter = subprocess.Popen([program, *flags, f"--web.listen-address={address}"], stderr=subprocess.DEVNULL)
    try:
        served: dict[str, set[str]] = {}

        def scraped() -> bool:
            try:
                text = httpx.get(f"http://{address}/metrics").text
            except httpx.TransportError:
                return False
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    served.setdefault(sample.name, set()).update(sample.labels)
            return True

        wait_until(scraped, "node_exporter", 30)
    finally:
        exporter.terminate()
        exporter.wait(timeout=30)

    assert len(_asked()) == 2
    for name in _asked():
        assert {"device", "fstype", "mountpoint"} <= served[name]
