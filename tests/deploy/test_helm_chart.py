"""The Helm chart describes what kustomize does, and takes from its values what people change."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from deploy.helm_chart import CHART, ChartError, comparable, render
from deploy.kubernetes_builds import COMPOSITIONS, FOLDER, ROOT, Object, objects
from docs.snippets import snippets

OVERLAYS = sorted(path.parent.name for path in FOLDER.glob("overlays/*/kustomization.yaml"))
REGISTRY = "registry.example.com/team/trivium"


def _values(build: str) -> dict[str, Any]:
    """The values with which the chart is a build of kustomize's."""
    if build in OVERLAYS:
        values: dict[str, Any] = yaml.safe_load((CHART / f"values-{build}.yaml").read_text())
        return values
    return {"components": list(COMPOSITIONS[build]), "host": "rag.example.com"}


def _one(found: tuple[Object, ...], kind: str, name: str) -> Any:
    (one,) = (one for one in found if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return one


def _containers(found: tuple[Object, ...]) -> dict[str, Any]:
    """The first container of each Deployment and StatefulSet."""
    return {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]["containers"][0]
        for one in found
        if one["kind"] in ("Deployment", "StatefulSet")
    }


@pytest.mark.parametrize("build", [*COMPOSITIONS, *OVERLAYS])
def test_chart_renders_what_kustomize_builds(build: str) -> None:
    chart, kustomize = comparable(render(_values(build))), comparable(objects(build))

    assert chart.keys() == kustomize.keys()
    for name, expected in kustomize.items():
        assert chart[name] == expected, name


def test_chart_has_values_for_each_overlay_and_a_name_for_each_component() -> None:
    assert sorted(path.stem.removeprefix("values-") for path in CHART.glob("values-*.yaml")) == OVERLAYS
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    known = schema["properties"]["components"]["items"]["enum"]
    # The prefix of images is a value here.
    assert known == sorted({path.parent.name for path in FOLDER.glob("components/*/*.yaml")} - {"registry"})
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] in (ROOT / "docker-compose.yml").read_text()


def test_chart_takes_every_image_of_ours_from_the_registry_and_no_other() -> None:
    values = {"components": ["gpu", "backup"], "image": {"prefix": REGISTRY, "tag": "9.9.9", "pullSecrets": ["pull"]}}
    found = render(values)

    images = {name.removeprefix("trivium-"): one["image"] for name, one in _containers(found).items()}
    assert not images.pop("qdrant").startswith(REGISTRY)
    assert images == {
        name: f"{REGISTRY}/{image}:9.9.9"
        for name, image in {
            "gateway": "gateway",
            "embed": "embed",
            "rerank": "rerank",
            "generate": "generate-gpu",
        }.items()
    }
    job = _one(found, "CronJob", "trivium-backup")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert job["containers"][0]["image"] == f"{REGISTRY}/gateway:9.9.9"
    assert job["imagePullSecrets"] == [{"name": "pull"}]


def test_chart_in_another_namespace_answers_to_its_names_there() -> None:
    data = _one(render({}, namespace="team-a"), "ConfigMap", "trivium-gateway")["data"]
    hosts = data["TRIVIUM_GATEWAY_ALLOWED_HOSTS"].split(",")
    service = "trivium-gateway"
    assert hosts == [service, *(f"{service}.team-a{rest}" for rest in ("", ".svc", ".svc.cluster.local"))]


def test_chart_serves_at_the_host_that_is_named_and_asks_for_one() -> None:
    found = render({"components": ["gateway-api"], "host": "ask.example.org"})

    assert _one(found, "HTTPRoute", "trivium-gateway")["spec"]["hostnames"] == ["ask.example.org"]
    assert _one(found, "GRPCRoute", "trivium-gateway")["spec"]["hostnames"] == ["grpc.ask.example.org"]
    hosts = _one(found, "ConfigMap", "trivium-gateway")["data"]["TRIVIUM_GATEWAY_ALLOWED_HOSTS"]
    assert hosts.split(",")[0] == "ask.example.org"
    with pytest.raises(ChartError, match="the component ingress needs host"):
        render({"components": ["ingress"]})


def test_alerts_of_the_chart_link_to_the_runbook_where_it_can_be_read() -> None:
    site = "https://docs.example.com/trivium/runbook.html"
    (found,) = (one for one in render({"components": ["alerts"], "runbook": site}) if one["kind"] == "PrometheusRule")
    rules = [rule for group in found["spec"]["groups"] for rule in group["rules"] if "alert" in rule]

    assert {rule["annotations"]["runbook_url"] for rule in rules} == {
        f"{site}#{rule['alert'].lower()}" for rule in rules
    }


def test_chart_takes_settings_replicas_resources_and_the_pod_of_a_service() -> None:
    plain = render({})
    resources = {"requests": {"cpu": "4"}, "limits": {"cpu": "4"}}
    embed = {
        "replicas": 5,
        "settings": {"TRIVIUM_EMBED_MODEL": "BAAI/bge-m3", "TRIVIUM_EMBED_WORKERS": 4},
        "resources": resources,
        "pod": {"nodeSelector": {"pool": "models"}, "volumes": [{"name": "data", "emptyDir": {"sizeLimit": "20Gi"}}]},
    }
    found = render({"embed": embed})

    spec = _one(found, "Deployment", "trivium-embed")["spec"]
    pod = spec["template"]["spec"]
    assert spec["replicas"] == 5
    assert pod["containers"][0]["resources"] == resources
    assert pod["nodeSelector"] == {"pool": "models"}
    assert {volume["name"]: volume for volume in pod["volumes"]}["data"]["emptyDir"] == {"sizeLimit": "20Gi"}
    assert len(pod["volumes"]) == 2
    data = _one(found, "ConfigMap", "trivium-embed")["data"]
    assert (data["TRIVIUM_EMBED_MODEL"], data["TRIVIUM_EMBED_WORKERS"]) == ("BAAI/bge-m3", "4")
    restarted = {
        one["metadata"]["name"]
        for one, before in zip(found, plain, strict=True)
        if one["kind"] in ("Deployment", "StatefulSet")
        and one["spec"]["template"]["metadata"]["annotations"] != before["spec"]["template"]["metadata"]["annotations"]
    }
    assert restarted == {"trivium-embed"}, "a changed setting restarts its pods, and no others"


def test_values_that_the_page_shows_add_what_they_name() -> None:
    (shown,) = (
        one.code for one in snippets(ROOT / "docs/kubernetes.md", "yaml") if "components: [gpu, net" in one.code
    )
    found = render(yaml.safe_load(shown))

    assert _one(found, "Ingress", "trivium-gateway")["spec"]["rules"][0]["host"] == "rag.example.com"
    assert _one(found, "CronJob", "trivium-backup")
    assert _containers(found)["trivium-generate"]["image"].startswith("registry.example.com/trivium/generate-gpu:")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"components": ["gpus"]}, "components"),
        ({"embed": {"replica": 2}}, "replica"),
        ({"gateway": {"settings": {"lower": "x"}}}, "lower"),
        (
            {"patches": [{"kind": "Deployment", "metadata": {"name": "trivium-embedder"}}]},
            "no Deployment trivium-embedder",
        ),
    ],
)
def test_chart_refuses_values_that_would_do_nothing(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(ChartError, match=reason):
        render(values)
