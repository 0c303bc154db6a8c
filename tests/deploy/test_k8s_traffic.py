"""Who reaches whom, what is counted where, and what follows from it: policies, budgets, monitors and autoscalers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml
from deploy.kubernetes_builds import BUILDS, COMPOSITIONS, FOLDER, ROOT, named, of_kind, pods, selects, service_pods

if TYPE_CHECKING:
    from collections.abc import Iterator

ARROWS = {
    ("gateway", "embed", 50051),
    ("gateway", "rerank", 50052),
    ("gateway", "generate", 50053),
    ("gateway", "qdrant", 6333),
    ("gateway", "qdrant", 6334),
    ("generate", "embed", 50051),
    ("qdrant", "qdrant", 6335),
}
"""docs/architecture.md, and the members of a Qdrant cluster."""


def _inside(build: str, direction: str) -> Iterator[tuple[str, str, int]]:
    """The arrows between our pods that policies of one direction let pass."""
    ours = service_pods(build)
    side, ends = ("from", 1) if direction == "ingress" else ("to", -1)
    for policy in of_kind(build, "NetworkPolicy"):
        if policy["metadata"]["name"] == "trivium-generate-group":
            continue
        for rule in policy["spec"].get(direction, ()):
            for peer in rule.get(side, ()):
                if "podSelector" not in peer or "namespaceSelector" in peer:
                    continue
                for name, one in ours.items():
                    for other_name, other in ours.items():
                        here = selects(policy["spec"]["podSelector"], one.labels)
                        if here and selects(peer["podSelector"], other.labels):
                            for port in rule["ports"]:
                                caller, callee = (other_name, name)[::ends]
                                yield caller, callee, port["port"]


@pytest.mark.parametrize("build", ["gpu", "large"])
def test_network_policies_allow_the_arrows_of_the_architecture_alone(build: str) -> None:
    assert set(_inside(build, "ingress")) == ARROWS
    assert set(_inside(build, "egress")) == ARROWS


@pytest.mark.parametrize("build", ["gpu", "large"])
def test_network_policies_deny_what_no_policy_names(build: str) -> None:
    deny = named(build, "NetworkPolicy", "trivium-deny-all")["spec"]
    assert set(deny["policyTypes"]) == {"Ingress", "Egress"}
    assert not {"ingress", "egress"} & deny.keys()
    for one in pods(build):
        assert selects(deny["podSelector"], one.labels), one.owner
    outward = [
        policy["metadata"]["name"]
        for policy in of_kind(build, "NetworkPolicy")
        for rule in policy["spec"].get("egress", ())
        for peer in rule.get("to", [{"ipBlock": "all"}])
        if "ipBlock" in peer
    ]
    assert outward == ["trivium-egress-https"]


@pytest.mark.parametrize("build", BUILDS)
def test_every_selector_finds_pods_and_the_ports_that_it_names(build: str) -> None:
    for one in of_kind(build, "Service", "PodDisruptionBudget", "PodMonitor", "Deployment", "StatefulSet"):
        found = [pod for pod in pods(build) if selects(one["spec"]["selector"], pod.labels)]
        assert len(found) == 1, f"{one['kind']} {one['metadata']['name']} selects {[pod.owner for pod in found]}"
        names = {port["name"]: port["containerPort"] for port in found[0].spec["containers"][0]["ports"]}
        for port in one["spec"].get("ports", ()):
            assert names[port["targetPort"]] == port["port"]
        for endpoint in one["spec"].get("podMetricsEndpoints", ()):
            assert endpoint["port"] in names


@pytest.mark.parametrize("build", BUILDS)
def test_every_service_has_a_disruption_budget_that_lets_nodes_be_emptied(build: str) -> None:
    budgets = of_kind(build, "PodDisruptionBudget")
    for one in service_pods(build).values():
        found = [budget for budget in budgets if selects(budget["spec"]["selector"], one.labels)]
        assert [budget["spec"]["maxUnavailable"] for budget in found] == [1], one.owner


def _documented(metric: str) -> bool:
    names = re.findall(r"^\| `([a-z_<>]+)` \|", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE)
    services = "gateway|embed|rerank|generate|generate_extractive|generate_model"
    return any(re.fullmatch(name.replace("<service>", f"({services})"), metric) for name in names)


def _autoscaler_metrics() -> dict[str, str]:
    """The pods' metrics that the autoscalers follow, with their targets."""
    return {
        metric["pods"]["metric"]["name"]: metric["pods"]["target"]["averageValue"]
        for one in of_kind("large", "HorizontalPodAutoscaler")
        for metric in one["spec"]["metrics"]
        if metric["type"] == "Pods"
    }


def test_autoscalers_follow_metrics_that_exist_and_that_the_adapter_shows() -> None:
    values = yaml.safe_load((FOLDER / "components" / "autoscaling" / "prometheus-adapter-values.yaml").read_text())
    patterns = [re.search(r'__name__=~"\^(.*?)\$"', rule["seriesQuery"]) for rule in values["rules"]["custom"]]
    assert len(_autoscaler_metrics()) >= 7
    for metric in _autoscaler_metrics():
        assert _documented(metric), metric
        assert any(pattern and re.fullmatch(pattern[1], metric) for pattern in patterns), metric


@pytest.mark.parametrize("build", BUILDS)
def test_autoscalers_scale_what_is_there_and_nobody_else_does(build: str) -> None:
    for one in of_kind(build, "HorizontalPodAutoscaler", "ScaledObject"):
        target = one["spec"]["scaleTargetRef"]
        scaled = named(build, target.get("kind", "Deployment"), target["name"])
        assert scaled["apiVersion"] == target.get("apiVersion", "apps/v1")
        if scaled["kind"] == "Deployment":
            assert "replicas" not in scaled["spec"]
        if one["kind"] == "HorizontalPodAutoscaler":
            assert {metric["type"] for metric in one["spec"]["metrics"]} != {"Resource"}, "CPU alone"


def test_keda_follows_the_same_metrics_with_the_same_thresholds() -> None:
    triggers = {}
    for one in of_kind("base-keda", "ScaledObject"):
        for trigger in one["spec"]["triggers"]:
            match = re.fullmatch(r'sum\((\w+)\{pod=~"([\w-]+)-\.\*"\}\)', trigger["metadata"]["query"])
            assert match
            assert match[2] == one["metadata"]["name"]
            triggers[match[1]] = trigger["metadata"]["threshold"]
    assert triggers == _autoscaler_metrics()


def test_scrape_annotations_name_the_port_of_the_metrics() -> None:
    for name, one in service_pods("base-keda").items():
        annotations = one.template["metadata"]["annotations"]
        wanted = "http" if name == "qdrant" else "metrics"
        ports = {port["name"]: port["containerPort"] for port in one.spec["containers"][0]["ports"]}
        assert annotations["prometheus.io/port"] == str(ports[wanted])


def test_every_component_is_part_of_a_build() -> None:
    texts = [path.read_text() for path in FOLDER.glob("overlays/*/kustomization.yaml")]
    used = {name for text in texts for name in re.findall(r"components/([\w-]+)", text)}
    used |= {name for names in COMPOSITIONS.values() for name in names}
    used |= {"registry"}  # of the overlay that docs/kubernetes.md shows, which a test builds
    assert used == {path.parent.name for path in FOLDER.glob("components/*/kustomization.yaml")}


def test_qdrants_own_chart_runs_the_version_and_the_size_of_ours() -> None:
    values = yaml.safe_load((FOLDER / "qdrant-values.yaml").read_text())
    ours = service_pods("large")["qdrant"]
    suffix = "-unprivileged" if values["image"]["useUnprivilegedImage"] else ""
    assert ours.spec["containers"][0]["image"] == f"qdrant/qdrant:{values['image']['tag']}{suffix}"
    assert values["replicaCount"] == named("large", "StatefulSet", "trivium-qdrant")["spec"]["replicas"]
    assert values["fullnameOverride"] == "trivium-qdrant"
    # The chart's pods have this name as a label, and what podLabels adds.
    labels = {"app.kubernetes.io/name": values["nameOverride"], **values["podLabels"]}
    (rule,) = values["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert rule["labelSelector"]["matchLabels"]["app.kubernetes.io/name"] == values["nameOverride"]
    for kind in ("PodMonitor", "NetworkPolicy"):
        spec = named("large", kind, "trivium-qdrant")["spec"]
        assert selects(spec.get("podSelector") or spec["selector"], labels), f"{kind} does not find the chart's pods"
