"""Whatever is asked of Qdrant's metrics, a Qdrant server serves, under that name and with those labels."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from telemetry.declared_metrics import declared
from telemetry.expressions import DASHBOARDS, ROOT, panel_expressions, rules
from telemetry.served_by_qdrant import QDRANT, base_name, in_qdrants_families

if TYPE_CHECKING:
    from pathlib import Path

RULE_TESTS = sorted((ROOT / "deploy/prometheus/tests").glob("*.yml"))
PAGES = sorted((ROOT / "docs").glob("*.md"))
# What Prometheus adds to each series by itself: of which target it is.
TARGET = {"job", "instance"}
# Names in code spans of the pages that look like metrics of Qdrant and are something else.
ELSEWHERE = {"grpc_health_probe"}


def _expressions() -> dict[str, str]:
    found = {where: expression for path in DASHBOARDS for where, expression in panel_expressions(path).items()}
    return found | {rule.get("record", rule.get("alert", "")): rule["expr"] for rule in rules()}


def _without_texts(expression: str) -> str:
    return re.sub(r'"[^"]*"', '""', expression)


def _inputs(path: Path) -> list[str]:
    tests: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
    return [series["series"] for test in tests for series in test["input_series"]]


def test_rules_and_dashboards_ask_qdrant_for_what_it_serves() -> None:
    named = {where: in_qdrants_families(_without_texts(expression)) for where, expression in _expressions().items()}

    assert sum(map(bool, named.values())) > 10
    assert {where: names - QDRANT.keys() for where, names in named.items() if names - QDRANT.keys()} == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_names_metrics_of_qdrant_that_it_serves(page: Path) -> None:
    code = " ".join(re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8")))

    assert in_qdrants_families(_without_texts(code)) - QDRANT.keys() - ELSEWHERE == set()


def test_rules_and_dashboards_use_the_labels_that_qdrants_series_have() -> None:
    wrong = []
    for where, expression in _expressions().items():
        text = _without_texts(expression)
        served = {name: {*QDRANT[name].labels, *TARGET} for name in in_qdrants_families(text) & QDRANT.keys()}
        for series, matchers in re.findall(r"(\w+){([^}]*)}", text):
            if base_name(series) in served:
                unknown = set(re.findall(r"(\w+)\s*[=!]", matchers)) - served[base_name(series)]
                wrong += [f"{where}: {series} has no {label}" for label in unknown]
        if served:
            labels = {label for found in re.findall(r"by \(([^)]*)\)", text) for label in re.findall(r"\w+", found)}
            wrong += [f"{where}: no {label}" for label in labels - set().union(*served.values()) - {"le"}]
    assert not wrong


def test_rule_tests_feed_series_that_qdrant_serves() -> None:
    fed = 0
    for path in RULE_TESTS:
        for series in _inputs(path):
            name = base_name(series.partition("{")[0])
            if not in_qdrants_families(name):
                continue
            fed += 1
            assert name in QDRANT, f"{path.name}: nothing serves {series}"
            labels = (
                set(re.findall(r'(\w+)="', series)) - TARGET - ({"le"} if name != series.partition("{")[0] else set())
            )
            assert labels == set(QDRANT[name].labels), f"{path.name}: {series}"
    assert fed > 10


def test_embedded_engine_serves_what_it_has_as_qdrant_does() -> None:
    shared = {name: metric for name, metric in declared()["qdrant_edge"].items() if name in QDRANT}

    assert {"grpc_responses_total", "grpc_responses_duration_seconds", "collection_points"} <= shared.keys()
    assert {name: (metric.kind, set(metric.labels)) for name, metric in shared.items()} == {
        name: (QDRANT[name].kind, set(QDRANT[name].labels)) for name in shared
    }
