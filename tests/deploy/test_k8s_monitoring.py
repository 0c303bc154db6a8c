"""A cluster is watched by the very rules and dashboards of the compose stack."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from deploy.kubernetes_builds import BUILDS, ROOT, named, of_kind, service_pods
from telemetry.prometheus import RULES, tool
from telemetry.served_by_qdrant import QDRANT

if TYPE_CHECKING:
    from pathlib import Path

WATCHED = ["gpu", "large"]
WRITTEN = ROOT / "deploy/k8s/components/alerts/prometheus-rules.yaml"
DASHBOARDS = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))
# What the operator adds to each series of a pod by itself.
OF_THE_OPERATOR = {"namespace", "pod", "container", "endpoint"}


def test_rules_of_the_cluster_are_what_the_script_writes(tmp_path: Path) -> None:
    script = tmp_path / "deploy/prometheus/kubernetes_rules.py"
    target = tmp_path / WRITTEN.relative_to(ROOT)
    for path in (script.parent / "rules", target.parent):
        path.mkdir(parents=True)
    script.write_bytes((ROOT / script.relative_to(tmp_path)).read_bytes())
    for path in RULES:
        (script.parent / "rules" / path.name).write_bytes(path.read_bytes())
    subprocess.run([sys.executable, script], check=True)

    assert target.read_text() == WRITTEN.read_text()


@pytest.mark.parametrize("build", WATCHED)
def test_cluster_has_every_rule_of_the_compose_stack(build: str, tmp_path: Path) -> None:
    (built,) = of_kind(build, "PrometheusRule")
    texts = [path.read_text().replace("{{ $externalURL }}/consoles/runbook.html", "docs/runbook.md") for path in RULES]
    groups: list[dict[str, Any]] = [group for text in texts for group in yaml.safe_load(text)["groups"]]

    assert built["spec"] == {"groups": groups}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(built["spec"]))
    checked = subprocess.run(
        [tool("promtool"), "check", "rules", str(tmp_path / "rules.yml")], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("build", WATCHED)
def test_cluster_has_every_dashboard_where_grafana_finds_it(build: str) -> None:
    found = [one for one in of_kind(build, "ConfigMap") if "grafana_dashboard" in one["metadata"].get("labels", {})]

    assert {one["metadata"]["labels"]["grafana_dashboard"] for one in found} == {"1"}
    served = {name: json.loads(text) for one in found for name, text in one["data"].items()}
    assert served == {path.name: json.loads(path.read_text()) for path in DASHBOARDS}


def test_qdrant_with_a_key_is_scraped_with_one_that_can_only_read() -> None:
    (endpoint,) = named("base-tls", "PodMonitor", "trivium-qdrant")["spec"]["podMetricsEndpoints"]
    credentials = endpoint["authorization"]["credentials"]
    qdrant = {
        item["name"]: item["valueFrom"] for item in service_pods("base-tls")["qdrant"].spec["containers"][0]["env"]
    }

    read_only = qdrant["QDRANT__SERVICE__READ_ONLY_API_KEY"]["secretKeyRef"]
    assert (read_only["name"], read_only["key"]) == (credentials["name"], credentials["key"])
    for one in (service_pods("base-tls")[name] for name in ("gateway", "qdrant")):
        keys = [item["valueFrom"]["secretKeyRef"] for item in one.spec["containers"][0]["env"]]
        assert not any(key["optional"] for key in keys), f"{one.owner} would start without a key that others ask for"


def test_gateways_with_keys_share_them_and_start_with_none_missing() -> None:
    env = {item["name"]: item for item in service_pods("base-keys")["gateway"].spec["containers"][0]["env"]}
    assert env["TRIVIUM_GATEWAY_AUTH"]["value"] == "keys"
    for variable in ("TRIVIUM_GATEWAY_ADMIN_KEY", "TRIVIUM_GATEWAY_REDIS_URL"):
        assert env[variable]["valueFrom"]["secretKeyRef"]["optional"] is False


@pytest.mark.parametrize("build", BUILDS)
def test_services_that_may_call_an_api_take_its_key_from_the_secret(build: str) -> None:
    for name in ("embed", "rerank", "generate"):
        one = service_pods(build)[name]
        if not one.owner.startswith("LeaderWorkerSet"):  # a model of its own
            env = {item["name"]: item.get("valueFrom") for item in one.spec["containers"][0].get("env", ())}
            reference = {"name": "trivium", "key": f"{name}-api-key", "optional": True}
            assert env[f"TRIVIUM_{name.upper()}_API_KEY"] == {"secretKeyRef": reference}


@pytest.mark.parametrize("build", WATCHED)
def test_labels_of_qdrants_metrics_are_kept_where_the_operator_has_the_same(build: str) -> None:
    labels = {label for metric in QDRANT.values() for label in metric.labels}
    (endpoint,) = named(build, "PodMonitor", "trivium-qdrant")["spec"]["podMetricsEndpoints"]

    assert labels & OF_THE_OPERATOR
    assert endpoint["honorLabels"]
