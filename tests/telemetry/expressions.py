"""The expressions of dashboards and rules, and the metrics that they are made of."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import yaml
from telemetry.declared_metrics import declared
from telemetry.served_by_qdrant import QDRANT, base_name

ROOT = Path(__file__).resolve().parents[2]
DASHBOARDS = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))
_NAMES = re.compile(
    r"(?:trivium|vllm|DCGM|kubelet|node|collections?|grpc|rest|memory|cluster|app|process)[:_][A-Za-z0-9_:]+|\bup\b"
)


def panels(path: Path) -> list[dict[str, Any]]:
    """The panels of a dashboard that show metrics."""
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["panels"]
    return [panel for panel in found if "targets" in panel]


def panel_expressions(path: Path) -> dict[str, str]:
    """Each expression of a dashboard by where it stands, ready to be asked of a Prometheus that has run for seconds."""
    return {
        f"{path.stem}, {panel['title']}, {target['refId']}": target["expr"]
        .replace("$__rate_interval", "30s")
        .replace("$instance", ".*")  # all of them
        .replace(" offset 7d", "")  # a test has no week
        for panel in panels(path)
        for target in panel["targets"]
    }


def rules() -> list[dict[str, Any]]:
    """All rules."""
    files = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "deploy/prometheus/rules").glob("*.yml"))]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def metric_names(expression: str) -> set[str]:
    """The metrics in an expression, without what is in quotes."""
    return set(_NAMES.findall(re.sub(r'"[^"]*"', "", expression)))


def documented_elsewhere(name: str) -> bool:
    """Whether a metric is of a program that no test here runs, and listed as such."""
    listed = tomllib.loads((Path(__file__).parent / "documented_metrics.toml").read_text(encoding="utf-8"))
    known = {one for names in listed.values() for one in names} | QDRANT.keys() - declared()["qdrant_edge"].keys()
    return base_name(name) in known
