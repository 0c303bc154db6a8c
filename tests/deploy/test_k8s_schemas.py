"""Every object of every build is what Kubernetes, or the operator that reads it, knows."""

from __future__ import annotations

import json
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml
from deploy.kubernetes_builds import BUILDS, FOLDER, Object, named, objects, of_kind, pods

VERSIONS = ("1.30", "1.33", "1.35", "1.37")
"""The oldest that can run this (preStop sleeps), and the newest that schemas are at hand for."""

_CORE = ("v1", "apps/v1", "batch/v1", "policy/v1", "networking.k8s.io/v1", "autoscaling/v2")


def _leaves(value: Any, path: str = "") -> set[str]:
    """The paths of all keys, without list positions."""
    if isinstance(value, dict):
        return {path + key for key in value}.union(*(_leaves(child, f"{path}{key}.") for key, child in value.items()))
    if isinstance(value, list):
        return set().union(*(_leaves(child, path) for child in value))
    return set()


# The fields, by the operators' own documentation, that our custom resources may use; a + must be there.
_CUSTOM = {
    ("monitoring.coreos.com/v1", "PodMonitor"): """
        +selector +selector.matchLabels +podMetricsEndpoints +podMetricsEndpoints.port podMetricsEndpoints.path
        podMetricsEndpoints.interval podMetricsEndpoints.scheme podMetricsEndpoints.tlsConfig
        podMetricsEndpoints.tlsConfig.serverName podMetricsEndpoints.tlsConfig.ca
        podMetricsEndpoints.tlsConfig.ca.secret podMetricsEndpoints.tlsConfig.ca.secret.name
        podMetricsEndpoints.tlsConfig.ca.secret.key podMetricsEndpoints.honorLabels
        podMetricsEndpoints.authorization podMetricsEndpoints.authorization.credentials
        podMetricsEndpoints.authorization.credentials.name podMetricsEndpoints.authorization.credentials.key
        podTargetLabels""",
    ("monitoring.coreos.com/v1", "PrometheusRule"): """
        +groups +groups.name groups.interval +groups.rules +groups.rules.expr groups.rules.record groups.rules.alert
        groups.rules.for groups.rules.labels groups.rules.annotations""",
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): """
        +parentRefs +parentRefs.name parentRefs.namespace parentRefs.sectionName hostnames +rules rules.matches
        +rules.backendRefs +rules.backendRefs.name +rules.backendRefs.port rules.timeouts rules.timeouts.request""",
    ("gateway.networking.k8s.io/v1", "GRPCRoute"): """
        +parentRefs +parentRefs.name parentRefs.namespace parentRefs.sectionName hostnames +rules rules.matches
        +rules.backendRefs +rules.backendRefs.name +rules.backendRefs.port""",
    ("snapshot.storage.k8s.io/v1", "VolumeSnapshot"): """
        volumeSnapshotClassName +source +source.persistentVolumeClaimName""",
    ("keda.sh/v1alpha1", "ScaledObject"): """
        +scaleTargetRef +scaleTargetRef.name scaleTargetRef.apiVersion scaleTargetRef.kind minReplicaCount
        maxReplicaCount pollingInterval cooldownPeriod fallback fallback.failureThreshold fallback.replicas
        fallback.behavior
        +triggers +triggers.type triggers.metricType +triggers.metadata +triggers.metadata.serverAddress
        +triggers.metadata.query +triggers.metadata.threshold""",
    ("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet"): """
        replicas startupPolicy rolloutStrategy +rolloutStrategy.type rolloutStrategy.rollingUpdateConfiguration
        rolloutStrategy.rollingUpdateConfiguration.maxUnavailable rolloutStrategy.rollingUpdateConfiguration.maxSurge
        +leaderWorkerTemplate leaderWorkerTemplate.size leaderWorkerTemplate.restartPolicy
        leaderWorkerTemplate.leaderTemplate +leaderWorkerTemplate.workerTemplate""",
}


@pytest.mark.parametrize("version", VERSIONS)
def test_objects_are_valid_for_each_version_of_kubernetes(version: str) -> None:
    # Builds share most objects: each is looked at once.
    distinct = {json.dumps(one, sort_keys=True): one for build in BUILDS for one in objects(build)}
    core = [one for one in distinct.values() if one["apiVersion"] in _CORE]
    # A LeaderWorkerSet's pods are Kubernetes' own business, too.
    core += [
        {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "pods"}, "template": one.template}
        for one in pods("large")
    ]
    assert len(core) > 50
    for one in core:
        try:
            kubernetes_validate.validate(one, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            pytest.fail(f"{one['kind']} {one['metadata']['name']}: {error}")


@pytest.mark.parametrize("build", BUILDS)
def test_custom_resources_have_the_fields_that_their_operators_know(build: str) -> None:
    for one in objects(build):
        if one["apiVersion"] not in _CORE:
            _check_custom(one)


def _check_custom(one: Object) -> None:
    words = _CUSTOM[one["apiVersion"], one["kind"]].split()
    known = {word.lstrip("+") for word in words}
    used = {
        path
        for path in _leaves(one["spec"])
        if not path.startswith(("selector.matchLabels.", "groups.rules.labels.", "groups.rules.annotations."))
        and not path.startswith(("leaderWorkerTemplate.leaderTemplate.", "leaderWorkerTemplate.workerTemplate."))
    }
    assert used <= known, one["metadata"]
    assert {word[1:] for word in words if word.startswith("+")} <= used, one["metadata"]


def test_snapshots_are_of_the_claims_that_qdrant_and_the_gateway_have_and_come_back_as_them() -> None:
    snapshots = list(yaml.safe_load_all((FOLDER / "volume-snapshot.yaml").read_text()))
    claims = list(yaml.safe_load_all((FOLDER / "volume-from-snapshot.yaml").read_text()))
    qdrant = named("small", "StatefulSet", "trivium-qdrant")
    (template,) = qdrant["spec"]["volumeClaimTemplates"]
    specs = {
        f"{template['metadata']['name']}-{qdrant['metadata']['name']}-0": template["spec"],
        "trivium-gateway": named("small", "PersistentVolumeClaim", "trivium-gateway")["spec"],
    }

    assert [claim["metadata"]["name"] for claim in claims] == list(specs)
    for snapshot, claim in zip(snapshots, claims, strict=True):
        _check_custom(snapshot)
        kubernetes_validate.validate(claim, VERSIONS[-1], strict=True)
        name = claim["metadata"]["name"]
        assert snapshot["spec"]["source"] == {"persistentVolumeClaimName": name}
        assert {one["metadata"]["namespace"] for one in (snapshot, claim)} == {qdrant["metadata"]["namespace"]}
        source = claim["spec"].pop("dataSource")
        assert source["kind"] == snapshot["kind"]
        assert source["name"].startswith(snapshot["metadata"]["generateName"])
        assert claim["spec"] == specs[name]


def test_a_misspelled_field_is_seen() -> None:
    broken = json.loads(json.dumps(of_kind("base", "Deployment")[0]))
    broken["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSIONS[-1], strict=True)
