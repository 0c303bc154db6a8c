"""What every pod of every build must be: probed, bounded, unprivileged, drained, and set up as its service allows."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pytest
from deploy.kubernetes_builds import (
    BUILDS,
    ROOT,
    Pods,
    environment,
    named,
    objects,
    of_kind,
    pods,
    selects,
    service_pods,
)
from trivium_embed.settings import EmbedSettings
from trivium_gateway.settings import GatewaySettings
from trivium_generate.settings import GenerateSettings
from trivium_rerank.settings import RerankSettings
from trivium_serving.settings import load_settings

TLS_FILES = {
    "TRIVIUM_TLS_CERT": "/tls/tls.crt",
    "TRIVIUM_TLS_KEY": "/tls/tls.key",
    "TRIVIUM_TLS_CA": "/tls/ca.crt",
}
SETTINGS: dict[str, type[Any]] = {
    "gateway": GatewaySettings,
    "embed": EmbedSettings,
    "rerank": RerankSettings,
    "generate": GenerateSettings,
}


def _settings(build: str, service: str) -> Any:
    """The settings as the service itself reads them; a value that breaks its rule ends the test."""
    return load_settings(
        SETTINGS[service],
        prefix=f"TRIVIUM_{service.upper()}_",
        program=service,
        description="",
        argv=[],
        environ=environment(build, service_pods(build)[service]),
    )


def _containers(build: str) -> list[tuple[Pods, dict[str, Any]]]:
    return [(one, container) for one in pods(build) for container in one.spec["containers"]]


@pytest.mark.parametrize("build", BUILDS)
def test_every_container_has_probes_and_bounds(build: str) -> None:
    for one, container in _containers(build):
        for side in ("requests", "limits"):
            assert {"cpu", "memory"} <= container["resources"][side].keys(), one.owner
        if "CronJob" in one.owner:
            continue
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert probe in container, f"{one.owner} lacks {probe}"
        if "LeaderWorkerSet" not in one.owner:
            assert one.spec["topologySpreadConstraints"], one.owner


@pytest.mark.parametrize("build", BUILDS)
def test_every_pod_keeps_to_the_restricted_security_standard(build: str) -> None:
    for one, container in _containers(build):
        pod, own = one.spec["securityContext"], container["securityContext"]
        assert pod["runAsNonRoot"] is True
        assert pod["runAsUser"] > 0
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
        assert own["allowPrivilegeEscalation"] is False
        assert own["readOnlyRootFilesystem"] is True
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert one.spec["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & one.spec.keys()
        assert all(not volume.keys() & {"hostPath"} for volume in one.spec["volumes"])
        # Kubernetes would set TRIVIUM_EMBED_PORT and the like, which look like settings.
        assert one.spec["enableServiceLinks"] is False
        account = named(build, "ServiceAccount", one.spec["serviceAccountName"])
        assert account["automountServiceAccountToken"] is False


@pytest.mark.parametrize("build", BUILDS)
def test_every_reference_of_a_pod_is_to_something_in_the_build(build: str) -> None:
    claims = {claim["metadata"]["name"] for claim in of_kind(build, "PersistentVolumeClaim")}
    for one, container in _containers(build):
        volumes = {volume["name"]: volume for volume in one.spec["volumes"]}
        owner = one.owner.split("/")
        if owner[0] == "StatefulSet":
            templates = named(build, *owner)["spec"]["volumeClaimTemplates"]
            volumes |= {template["metadata"]["name"]: template for template in templates}
        for volume in volumes.values():
            if "configMap" in volume:
                named(build, "ConfigMap", volume["configMap"]["name"])
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in claims
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes.keys(), one.owner
        environment(build, one)


@pytest.mark.parametrize("build", BUILDS)
def test_volume_that_one_node_mounts_keeps_its_pods_on_that_node(build: str) -> None:
    claims = {
        claim["metadata"]["name"]: claim["spec"]["accessModes"] for claim in of_kind(build, "PersistentVolumeClaim")
    }
    for one in pods(build):
        mounted = [
            volume["persistentVolumeClaim"]["claimName"]
            for volume in one.spec["volumes"]
            if "persistentVolumeClaim" in volume
        ]
        if one.owner.startswith("CronJob") or not any(claims[name] == ["ReadWriteOnce"] for name in mounted):
            continue
        spec = named(build, *one.owner.split("/"))["spec"]
        if (spec["replicas"], spec["strategy"].get("type")) == (1, "Recreate"):  # there is never a second one
            continue
        rules = one.spec["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert [rule["topologyKey"] for rule in rules] == ["kubernetes.io/hostname"], one.owner
        assert all(selects(rule["labelSelector"], one.labels) for rule in rules)


def test_language_model_on_one_node_needs_no_storage_that_several_nodes_write() -> None:
    modes = [
        mode for claim in of_kind("gpu-one-node", "PersistentVolumeClaim") for mode in claim["spec"]["accessModes"]
    ]
    assert modes == ["ReadWriteOnce"]


@pytest.mark.parametrize("build", BUILDS)
def test_images_are_pinned_and_ours_have_a_dockerfile(build: str) -> None:
    for one, container in _containers(build):
        name, _, tag = container["image"].rpartition(":")
        assert name, f"{one.owner}: {container['image']} has no tag"
        assert re.match(r"v?\d+\.\d+\.\d+", tag), f"{one.owner}: {tag}"
        if name.startswith("trivium/"):
            service, _, variant = name.removeprefix("trivium/").partition("-")
            on_gpus = service in ("embed", "rerank") and variant == "gpu"  # the same one, with another build of torch
            suffix = f"-{variant}" if variant and not on_gpus else ""
            assert (ROOT / "services" / service / f"Dockerfile{suffix}").exists(), name


@pytest.mark.parametrize("build", BUILDS)
def test_secrets_are_named_and_never_given(build: str) -> None:
    assert not of_kind(build, "Secret")
    for one, container in _containers(build):
        values = environment(build, one)
        secret = [name for name in values if re.search("KEY|TOKEN$|PASSWORD|SECRET", name)]
        assert not [name for name in secret if values[name] != "/tls/tls.key"], one.owner
        for item in container.get("env", ()):
            if "KEY" in item["name"] or "TOKEN" in item["name"]:
                assert item["valueFrom"]["secretKeyRef"]["name"] == "trivium"


@pytest.mark.parametrize("build", BUILDS)
def test_variables_are_settings_that_the_service_has(build: str, capsys: pytest.CaptureFixture[str]) -> None:
    for service in SETTINGS:
        one = service_pods(build)[service]
        given = environment(build, one).keys() | {item["name"] for item in one.spec["containers"][0].get("env", ())}
        known = {
            field.metadata.get("env") or f"TRIVIUM_{service.upper()}_{field.name.upper()}"
            for field in dataclasses.fields(SETTINGS[service])
        }
        everywhere = {"TRIVIUM_LOG_LEVEL", "TRIVIUM_LOG_FORMAT", *TLS_FILES}
        assert {name for name in given if name.startswith("TRIVIUM_")} <= known | everywhere
        _settings(build, service)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("build", BUILDS)
def test_ports_are_those_of_the_architecture(build: str) -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| (\w+)[^|]*\| `python -m trivium_\w+` \| (\d+) \| (\d+):", page, re.MULTILINE)
    expected = {{"qdrant_edge": "qdrant"}.get(name, name): (int(grpc), int(http)) for name, grpc, http in rows}
    assert expected.keys() == service_pods(build).keys()
    for service, one in service_pods(build).items():
        ports = {port["name"]: port["containerPort"] for port in one.spec["containers"][0]["ports"]}
        http = ports["http"] if service in ("gateway", "qdrant") else ports["metrics"]
        assert (ports["grpc"], http) == expected[service]
        if service == "qdrant":
            continue
        settings = _settings(build, service)
        if service == "gateway":
            assert settings.grpc_listen == f"0.0.0.0:{ports['grpc']}"
            assert settings.http_listen == f"0.0.0.0:{ports['http']}"
            assert settings.metrics_port == ports["metrics"]
        else:
            assert settings.listen == f"0.0.0.0:{ports['grpc']}"
            assert settings.metrics_port == ports["metrics"]
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                asked, name = one.spec["containers"][0][probe], f"trivium.{service}.v1.{service.title()}Service"
                if "tls" in build:  # of which Kubernetes' own probes know nothing
                    command = ["python3", "-m", "trivium_serving.probe", f"127.0.0.1:{ports['grpc']}", name]
                    assert asked["exec"] == {"command": command}
                    assert "grpc" not in asked
                else:
                    assert asked["grpc"] == {"port": ports["grpc"], "service": name}


@pytest.mark.parametrize("build", BUILDS)
def test_targets_of_the_services_are_services_with_that_port(build: str) -> None:
    gateway, generate = _settings(build, "gateway"), _settings(build, "generate")
    targets = [gateway.embed_target, gateway.rerank_target, gateway.generate_target, generate.embed_target]
    for target in targets:
        name, _, port = target.removeprefix("dns:///").partition(":")
        service = named(build, "Service", name)["spec"]
        assert service["clusterIP"] == "None", "one address would take every call to one pod"
        assert int(port) in [one["port"] for one in service["ports"]]
    host, _, port = gateway.qdrant_url.partition("://")[2].partition(":")
    ports = {one["port"] for one in named(build, "Service", host)["spec"]["ports"]}
    assert {int(port), gateway.qdrant_grpc_port} <= ports


@pytest.mark.parametrize("build", [build for build in BUILDS if "tls" in build])
def test_every_service_has_the_files_that_its_variables_for_tls_name(build: str) -> None:
    for service, one in service_pods(build).items():
        container, values = one.spec["containers"][0], environment(build, one)
        volumes = {volume["name"]: volume for volume in one.spec["volumes"]}
        [mount] = [mount for mount in container["volumeMounts"] if mount["mountPath"] == "/tls"]
        assert volumes[mount["name"]]["secret"] == {"secretName": f"trivium-{service}-tls", "defaultMode": 0o440}
        if service == "qdrant":
            assert values["QDRANT__SERVICE__ENABLE_TLS"] == "true"
            assert (values["QDRANT__TLS__CERT"], values["QDRANT__TLS__KEY"]) == ("/tls/tls.crt", "/tls/tls.key")
        else:
            assert values.items() >= TLS_FILES.items()
        if service in ("gateway", "qdrant"):
            probes = [container[probe] for probe in ("startupProbe", "readinessProbe", "livenessProbe")]
            assert {probe["httpGet"]["scheme"] for probe in probes} == {"HTTPS"}
        for monitor in of_kind(build, "PodMonitor"):
            if service == "qdrant" and monitor["metadata"]["name"] == "trivium-qdrant":
                endpoint = monitor["spec"]["podMetricsEndpoints"][0]
                assert endpoint["scheme"] == "https"
                assert endpoint["tlsConfig"]["ca"]["secret"]["name"] == "trivium-qdrant-tls"
    assert _settings(build, "gateway").qdrant_url.startswith("https://")


@pytest.mark.parametrize("build", BUILDS)
def test_a_pod_has_time_to_leave_the_service_and_to_end_its_calls(build: str) -> None:
    for service in SETTINGS:
        one = service_pods(build)[service]
        seconds = one.spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert seconds >= 10
        assert one.spec["terminationGracePeriodSeconds"] >= seconds + _settings(build, service).drain_seconds + 5
    gateway = _settings(build, "gateway")
    assert gateway.drain_seconds >= gateway.request_timeout_seconds
    assert _settings(build, "generate").drain_seconds >= gateway.generate_timeout_seconds
    assert _settings(build, "rerank").drain_seconds >= gateway.rerank_timeout_seconds
    for deployment in of_kind(build, "Deployment"):
        spec = deployment["spec"]
        if spec["strategy"].get("type") == "Recreate":  # two would want one volume
            assert spec["replicas"] == 1
            continue
        update = spec["strategy"]["rollingUpdate"]
        on_gpus = "nvidia.com/gpu" in spec["template"]["spec"]["containers"][0]["resources"]["limits"]
        assert update["maxUnavailable"] == (1 if on_gpus else 0)


@pytest.mark.parametrize("build", BUILDS)
def test_encoders_get_whole_cores_for_themselves(build: str) -> None:
    # They run one session per core of the limit: a fraction would be throttled, and more than requested not be there.
    for service in ("embed", "rerank"):
        resources = service_pods(build)[service].spec["containers"][0]["resources"]
        assert resources["limits"]["cpu"] == resources["requests"]["cpu"]
        assert str(resources["limits"]["cpu"]).isdigit()


@pytest.mark.parametrize("build", BUILDS)
def test_gateway_can_write_its_data_and_keeps_jobs_and_files_only_where_they_outlive_the_pod(build: str) -> None:
    one = service_pods(build)["gateway"]
    container = one.spec["containers"][0]
    [data] = [mount["name"] for mount in container["volumeMounts"] if mount["mountPath"] == "/data"]
    assert "TRIVIUM_DATA_DIR=/data" in (ROOT / "services/gateway/Dockerfile").read_text()
    [volume] = [volume for volume in one.spec["volumes"] if volume["name"] == data]
    settings = _settings(build, "gateway")
    most = settings.max_job_bytes
    if "persistentVolumeClaim" not in volume:
        assert (most, settings.max_file_bytes) == (0, 0)
        return
    claim = named(build, "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])["spec"]
    assert claim["accessModes"] == ["ReadWriteOnce"]
    gibibytes = int(claim["resources"]["requests"]["storage"].removesuffix("Gi"))
    assert 0 < most <= gibibytes * 2**30 / 2
    assert 0 < settings.max_file_bytes < gibibytes * 2**30 - most
    assert not [
        scaler
        for scaler in of_kind(build, "HorizontalPodAutoscaler", "ScaledObject")
        if scaler["metadata"]["name"] == "trivium-gateway"
    ]


def test_language_model_over_several_nodes_uses_every_gpu_of_a_group() -> None:
    arguments = json.loads(_settings("large", "generate").engine_args)
    assert arguments["distributed_executor_backend"] == "mp"  # vLLM's own, which needs nothing that its image lacks
    group = named("large", "LeaderWorkerSet", "trivium-generate")["spec"]["leaderWorkerTemplate"]
    assert arguments["pipeline_parallel_size"] == group["size"]
    for template in (group["leaderTemplate"], group["workerTemplate"]):
        limits = template["spec"]["containers"][0]["resources"]["limits"]
        assert int(limits["nvidia.com/gpu"]) == arguments["tensor_parallel_size"]


def test_qdrant_cluster_holds_each_shard_twice_on_nodes_of_their_own() -> None:
    qdrant = named("large", "StatefulSet", "trivium-qdrant")["spec"]
    gateway = _settings("large", "gateway")
    assert 2 <= gateway.qdrant_replication_factor <= qdrant["replicas"]
    assert gateway.qdrant_shard_number % qdrant["replicas"] == 0
    rules = qdrant["template"]["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert [rule["topologyKey"] for rule in rules] == ["kubernetes.io/hostname"]
    ports = {port["name"]: port["containerPort"] for port in qdrant["template"]["spec"]["containers"][0]["ports"]}
    assert environment("large", service_pods("large")["qdrant"])["QDRANT__CLUSTER__P2P__PORT"] == str(ports["p2p"])
    headless = named("large", "Service", qdrant["serviceName"])["spec"]
    assert headless["publishNotReadyAddresses"]
    assert ports["p2p"] in [port["port"] for port in headless["ports"]]


@pytest.mark.parametrize("build", BUILDS)
def test_every_object_says_that_it_is_ours(build: str) -> None:
    for one in objects(build):
        if one["kind"] not in ("Namespace", "LeaderWorkerSet"):
            assert one["metadata"]["name"].startswith("trivium")
