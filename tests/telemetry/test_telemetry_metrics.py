"""Each process serves what docs/metrics.md declares for it, and nothing else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from telemetry.declared_metrics import Declared, declared
from telemetry.expressions import ROOT, rules
from telemetry.served_by_qdrant import QDRANT
from trivium_gateway.request.principal import Scope

if TYPE_CHECKING:
    from pathlib import Path

    from telemetry.conftest import WatchedStack

DECLARED = declared()
RULE_TESTS = sorted((ROOT / "deploy/prometheus/tests").glob("*.yml"))
# What labels may hold that the page does not list: names from code or from a short list of ours, never ids or texts.
SHAPES = {
    "method": r"[A-Za-z]+(/[A-Za-z]+)?",
    "code": r"[A-Z_]+",
    "route": r"unknown|(/[a-z0-9_.]*(\{[a-z_]+\})?)+",
    "status": r"\d{1,3}",
    "endpoint": r"/qdrant\.Points/[A-Za-z]+",
    "reason": r"[A-Z_]+|[a-z-]+",
    "backend": r"extractive|openai",
    "tenant": r"default|other",
    "collection": r"default",
    "id": r"default__[0-9a-f]{12}",
    "name": r"qdrant-edge",
    "version": r"[\d.]+",
    "model": r"[\w./-]+",
    "fingerprint": r"[0-9a-f]+",
    "runtime": r"[a-z]+",
    "precision": r"[a-z0-9]+",
    "role": r"query|document",
    "priority": r"interactive|bulk",
    "operation": r"answer|retrieve",
    "kind": r"[a-z_]+",
    "stage": r"embed|search|rerank|generate",
    "task": r"[a-z.]+",
}


def _served(text: str) -> dict[str, tuple[str, list[dict[str, str]]]]:
    """By name, the type and the labels of all series; those of histograms without `le`."""
    served = {}
    for family in text_string_to_metric_families(text):
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = [{key: value for key, value in one.labels.items() if key != "le"} for one in family.samples]
        served[name] = (family.type, labels)
    return served


def _wrong_values(metric: Declared, series: list[dict[str, str]]) -> set[str]:
    return {
        f"{label}={value!r}"
        for labels in series
        for label, value in labels.items()
        if not (value in allowed if (allowed := metric.labels.get(label)) else re.fullmatch(SHAPES[label], value))
    }


@pytest.mark.parametrize("service", sorted(DECLARED))
def test_service_after_all_traffic_serves_what_is_declared(watched: WatchedStack, service: str) -> None:
    served = _served(watched.scrape(service))

    assert served.keys() == DECLARED[service].keys()
    for name, (kind, series) in served.items():
        metric = DECLARED[service][name]
        assert kind == metric.kind, name
        assert series, f"{name} has no series"
        assert {frozenset(labels) for labels in series} == {frozenset(metric.labels)}, name
        assert not _wrong_values(metric, series), name


@pytest.mark.parametrize("service", sorted(DECLARED))
def test_service_before_traffic_has_every_counter_and_histogram(watched: WatchedStack, service: str) -> None:
    served = _served(watched.before[service])

    empty = {name for name, (kind, series) in served.items() if kind in ("counter", "histogram") and not series}
    assert not empty - QDRANT.keys()  # a series of Qdrant's appears with its first call


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.stem)
def test_page_names_metrics_of_ours_that_a_service_or_a_rule_makes(page: Path) -> None:
    named = re.findall(r"\btrivium(?:_(?:gateway|embed|rerank|generate|qdrant_edge)_\w+|:[\w:]+)", page.read_text())
    known = {name for metrics in DECLARED.values() for name in metrics} | {rule.get("record") for rule in rules()}
    known |= {f"trivium:{scope.value.partition('-')[0]}" for scope in Scope}  # as tokens of an issuer have them

    assert not {name for name in named if not {name, re.sub(r"_(bucket|sum|count)$", "", name)} & known}


@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda path: path.stem)
def test_rule_test_feeds_series_that_our_services_serve(path: Path) -> None:
    served = {name: metric for metrics in DECLARED.values() for name, metric in metrics.items()}
    tests = yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
    fed = [one["series"] for test in tests for one in test["input_series"] if one["series"].startswith("trivium_")]

    assert fed
    for series in fed:
        full = series.partition("{")[0]
        name = full if full in served else re.sub(r"_(bucket|sum|count)$", "", full)
        assert name in served, f"nothing serves {series}"
        for label, value in re.findall(r'(\w+)="([^"]*)"', series):
            if label not in ("job", "instance", "le"):  # of Prometheus, and of histograms
                assert label in served[name].labels, series
                assert value in (served[name].labels[label] or (value,)), series


def test_gateway_counts_each_kind_of_question(watched: WatchedStack) -> None:
    text = watched.scrape("gateway")

    def value(series: str) -> float:
        found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
        assert found, series
        return float(found[1])

    for outcome in ("ok", "degraded", "invalid"):
        assert value(f'trivium_gateway_questions_total{{operation="answer",outcome="{outcome}"}}') > 0
    assert value('trivium_gateway_questions_total{operation="answer",outcome="failed"}') == 0
    assert value('trivium_gateway_questions_total{operation="answer",outcome="cancelled"}') == 0
    assert value('trivium_gateway_degraded_total{reason="unavailable",stage="rerank"}') > 0
    assert value('trivium_gateway_answers_total{outcome="refused"}') == 1
    for kind in ("query", "document", "prompt", "completion"):
        assert value(f'trivium_gateway_tenant_tokens_total{{kind="{kind}",tenant="default"}}') > 0
    assert 0 < value("trivium_gateway_best_dense_score_sum") <= value("trivium_gateway_best_dense_score_count")
    assert value("trivium_gateway_answer_citations_sum") > 0
    assert value("trivium_gateway_ingest_pending_documents") == 0
    assert value('trivium_gateway_documents_total{outcome="unchanged"}') == 3
