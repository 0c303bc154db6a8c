"""The Ray job is what KubeRay and Kubernetes know, in pods that may do little, and runs what there is."""

from __future__ import annotations

import re
import shlex
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml
from deploy.kubernetes_builds import ROOT
from deploy.test_k8s_schemas import VERSIONS
from trivium_client.cli.app import app
from typer.main import get_command

CLAIM, POLICY, JOB = yaml.safe_load_all((ROOT / "deploy" / "ray" / "job.yaml").read_text())
CLUSTER = JOB["spec"]["rayClusterSpec"]
GROUPS = [CLUSTER["headGroupSpec"], *CLUSTER["workerGroupSpecs"]]
TEMPLATES = [group["template"] for group in GROUPS]

# By the types of ray.io/v1: what is required, and what else is used here.
SPEC = {"entrypoint", "backoffLimit", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished", "rayClusterSpec"}
HEAD = {"rayStartParams", "template"}
WORKERS = HEAD | {"groupName", "minReplicas", "maxReplicas", "replicas"}


def _containers(template: dict[str, Any]) -> list[dict[str, Any]]:
    return [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]


def test_job_has_the_fields_of_its_kind() -> None:
    assert (JOB["apiVersion"], JOB["kind"]) == ("ray.io/v1", "RayJob")
    assert JOB["spec"].keys() == SPEC
    assert CLUSTER.keys() == {"rayVersion", "headGroupSpec", "workerGroupSpecs"}
    assert CLUSTER["headGroupSpec"].keys() == HEAD
    for group in CLUSTER["workerGroupSpecs"]:
        assert group.keys() == WORKERS
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    for group in GROUPS:
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_kubernetes_own_is_valid(version: str) -> None:
    pods = [
        {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "pods"}, "template": template}
        for template in TEMPLATES
    ]
    for one in (CLAIM, POLICY, *pods):
        kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.parametrize("template", TEMPLATES, ids=["head", "workers"])
def test_pods_keep_to_the_restricted_security_standard(template: dict[str, Any]) -> None:
    spec = template["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    for container in _containers(template):
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} <= container["resources"]["limits"].keys()
        assert {one["name"] for one in container["volumeMounts"]} <= {one["name"] for one in spec["volumes"]}


def test_each_worker_sends_to_the_gateway_beside_it_which_embeds_there_and_writes_to_the_stacks_qdrant() -> None:
    containers = {one["name"]: one for one in _containers(TEMPLATES[1])}
    told = {name: {one["name"]: one.get("value") for one in container["env"]} for name, container in containers.items()}
    assert told["ray-worker"]["TRIVIUM_GATEWAY"] == told["gateway"]["TRIVIUM_GATEWAY_GRPC_LISTEN"]
    assert told["gateway"]["TRIVIUM_GATEWAY_EMBED_TARGET"] == told["embed"]["TRIVIUM_EMBED_LISTEN"]
    assert told["gateway"]["TRIVIUM_GATEWAY_QDRANT_URL"] == "http://trivium-qdrant:6333"
    assert [one["restartPolicy"] for one in TEMPLATES[1]["spec"]["initContainers"]] == ["Always", "Always"]


def test_command_and_versions_are_those_that_there_are() -> None:
    program, name, *arguments = shlex.split(JOB["spec"]["entrypoint"])
    command = get_command(app).commands[name]  # type: ignore[attr-defined]
    context = command.make_context(name, [one for one in arguments if not one.startswith("s3://")] + ["-"])
    assert (program, context.params["engine"]) == ("trivium", "ray")
    pinned = re.search(r"^ray==(.+)$", (ROOT / "requirements" / "constraints-ray.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    assert CLUSTER["rayVersion"] == pinned[1]
    (version,) = {one["image"].partition(":")[2] for template in TEMPLATES for one in _containers(template)}
    assert f"trivium/ray:{version}" in (ROOT / "deploy" / "ray" / "Dockerfile").read_text()
