"""Builds what deploy/k8s describes, and finds things in it."""

from __future__ import annotations

import dataclasses
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "k8s"

COMPOSITIONS = {
    "base": (),
    "base-keda": ("autoscaling-keda", "scrape-annotations"),
    "base-tls": ("monitoring", "qdrant-api-key", "network-policies", "tls"),
    "groups-tls": ("gpu", "vllm-groups", "qdrant-distributed", "tls"),
    "base-gpu-encoders": ("gpu-encoders", "scrape-annotations"),
    "base-keys": ("scrape-annotations", "keys", "ingress"),
    "base-backup-tls": ("network-policies", "gateway-api", "backup", "tls"),
    "base-backup-gateway": ("jobs", "backup", "backup-gateway"),
}
"""Builds of the base with components that no overlay has, or none has together."""

BUILDS = (*COMPOSITIONS, *sorted(path.parent.name for path in FOLDER.glob("overlays/*/kustomization.yaml")))

Object = dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Pods:
    """A pod template.

    Attributes:
        owner: What makes the pods, for example `Deployment/trivium-embed`; a worker's owner ends in `/worker`.
            Of a `CronJob` they end by themselves.
        labels: Of the pods.
        spec: Of the pods.
        template: The whole.
    """

    owner: str
    labels: dict[str, str]
    spec: dict[str, Any]
    template: dict[str, Any]


@functools.cache
def objects(build: str) -> tuple[Object, ...]:
    """All objects of a build. Skips the test where no kustomize is installed."""
    if build not in COMPOSITIONS:
        return kustomize(FOLDER / "overlays" / build)
    with tempfile.TemporaryDirectory() as folder:
        relative = os.path.relpath(FOLDER.resolve(), Path(folder).resolve())
        kustomization = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [f"{relative}/base"],
            "components": [f"{relative}/components/{name}" for name in COMPOSITIONS[build]],
        }
        (Path(folder) / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        return kustomize(Path(folder))


def kustomize(folder: Path) -> tuple[Object, ...]:
    """All objects that the kustomization of a folder describes. Skips the test where no kustomize is installed."""
    if binary := shutil.which("kustomize"):
        command = [binary, "build"]
    elif kubectl := shutil.which("kubectl"):
        command = [kubectl, "kustomize"]
    else:
        pytest.skip("neither kustomize nor kubectl is installed; see docs/kubernetes.md")
    result = subprocess.run([*command, str(folder)], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    return tuple(yaml.safe_load_all(result.stdout))


def of_kind(build: str, *kinds: str) -> list[Object]:
    """The objects of some kinds."""
    return [one for one in objects(build) if one["kind"] in kinds]


def named(build: str, kind: str, name: str) -> Object:
    """One object. A name that kustomize gave a hash of the content is found without it."""
    found = [one for one in of_kind(build, kind) if name in (one["metadata"]["name"], _without_hash(one))]
    assert len(found) == 1, f"{build} has {len(found)} of {kind} {name}"
    return found[0]


def _without_hash(one: Object) -> str:
    name: str = one["metadata"]["name"]
    return name.rpartition("-")[0] if one["kind"] in ("ConfigMap", "Secret") else name


def pods(build: str) -> Iterator[Pods]:
    """All pod templates of a build."""
    for one in of_kind(build, "Deployment", "StatefulSet", "LeaderWorkerSet", "CronJob"):
        owner = f"{one['kind']}/{one['metadata']['name']}"
        if one["kind"] == "LeaderWorkerSet":
            templates = one["spec"]["leaderWorkerTemplate"]
            found = {owner: templates["leaderTemplate"], f"{owner}/worker": templates["workerTemplate"]}
        else:
            of_jobs = one["kind"] == "CronJob"
            found = {owner: (one["spec"]["jobTemplate"]["spec"] if of_jobs else one["spec"])["template"]}
        for name, template in found.items():
            yield Pods(name, template["metadata"]["labels"], template["spec"], template)


def service_pods(build: str) -> dict[str, Pods]:
    """The pods of each of Trivium's services and of Qdrant, by its short name."""
    found = {one.labels["app.kubernetes.io/name"].removeprefix("trivium-"): one for one in pods(build)}
    return {
        name: one for name, one in found.items() if not one.owner.endswith("/worker") and "CronJob" not in one.owner
    }


def environment(build: str, one: Pods) -> dict[str, str]:
    """The variables of the first container that have a value in the manifests."""
    container = one.spec["containers"][0]
    variables: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        variables |= named(build, "ConfigMap", source["configMapRef"]["name"])["data"]
    return variables | {item["name"]: item["value"] for item in container.get("env", ()) if "value" in item}


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a label selector with matchLabels, or a Service's selector, takes pods with these labels."""
    wanted = selector.get("matchLabels", selector)
    return all(labels.get(key) == value for key, value in wanted.items())
