"""The compose files and Dockerfiles agree with each other, with the settings, and with .env.example."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from trivium_embed.settings import EmbedSettings
from trivium_gateway.settings import GatewaySettings
from trivium_generate.settings import GenerateSettings
from trivium_rerank.settings import RerankSettings

ROOT = Path(__file__).parents[2]
COMPOSE_FILES = [ROOT / "docker-compose.yml", *sorted((ROOT / "deploy/compose").glob("*.yml"))]
DOCKERFILES = sorted(ROOT.glob("services/*/Dockerfile*"))
TLS = {"TRIVIUM_TLS_CERT", "TRIVIUM_TLS_KEY", "TRIVIUM_TLS_CA"}
EVERYWHERE = {"TRIVIUM_LOG_LEVEL", "TRIVIUM_LOG_FORMAT", *TLS}
SETTINGS = {"embed": EmbedSettings, "rerank": RerankSettings, "generate": GenerateSettings, "gateway": GatewaySettings}


def _services(path: Path) -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text())["services"]
    return services


def _environment(service: dict[str, Any]) -> dict[str, str]:
    """The variables of a service; the value is that of the caller's environment if the file gives none."""
    given = service.get("environment", {})
    pairs = given.items() if isinstance(given, dict) else (line.partition("=")[::2] for line in given)
    return {name: value or f"${{{name}}}" for name, value in pairs}


@pytest.mark.parametrize("path", COMPOSE_FILES, ids=lambda path: path.name)
def test_compose_variables_are_documented_with_their_defaults(path: Path) -> None:
    documented = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    used = dict(re.findall(r"\$\{([A-Z_]+)(?::?-([^}]*))?\}", path.read_text()))
    for service in _services(path).values():
        used |= {name: "" for name, value in _environment(service).items() if value == f"${{{name}}}"}
    assert used.keys() - documented.keys() == set()
    if path.name == "docker-compose.yml":
        assert {name: documented[name] for name, default in used.items() if default} == {
            name: default for name, default in used.items() if default
        }


@pytest.mark.parametrize("path", COMPOSE_FILES, ids=lambda path: path.name)
def test_compose_settings_exist_in_the_service_that_gets_them(path: Path) -> None:
    for name, service in _services(path).items():
        for variable in _environment(service):
            if variable.startswith("TRIVIUM_") and variable not in EVERYWHERE:
                fields = dataclasses.fields(SETTINGS[name])
                assert variable in [f.metadata["env"] or f"TRIVIUM_{name}_{f.name}".upper() for f in fields]


def test_compose_services_keep_to_themselves() -> None:
    for name, service in _services(ROOT / "docker-compose.yml").items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["restart"] == "unless-stopped", name
        assert "mem_limit" in service, name
        for port in service.get("ports", []):
            assert port.startswith("${TRIVIUM_BIND:-127.0.0.1}:"), f"{name} would listen beyond this machine"


def test_compose_with_tls_gives_every_service_its_files_and_prometheus_the_same_targets() -> None:
    services = _services(ROOT / "deploy/compose/tls.yml")
    ours = {name for name in _services(ROOT / "docker-compose.yml") if name not in ("disk", "prometheus", "grafana")}
    assert ours | {"prometheus"} == services.keys()
    for name, service in services.items():
        assert service["volumes"] == ["${TRIVIUM_TLS_DIR:-./tls}:/tls:ro"]
        if name in ours:
            assert {variable for variable in _environment(service) if variable.startswith("TRIVIUM_TLS_")} == TLS, name
    assert _environment(services["gateway"])["TRIVIUM_GATEWAY_QDRANT_URL"] == (
        "${TRIVIUM_GATEWAY_QDRANT_URL:-https://qdrant:6333}"
    )
    plain, encrypted = (
        yaml.safe_load((ROOT / f"deploy/prometheus/{name}.yml").read_text())
        for name in ("prometheus", "prometheus-tls")
    )
    for job in encrypted["scrape_configs"]:
        if job["job_name"] == "qdrant":
            assert job.pop("scheme") == "https"
            assert job.pop("tls_config") == {"ca_file": "/tls/ca.crt"}
    assert encrypted == plain
    base = _services(ROOT / "docker-compose.yml")["prometheus"]["command"]
    assert [each.replace("-tls.yml", ".yml") for each in services["prometheus"]["command"]] == base


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_dockerfile_copies_what_its_requirements_name(path: Path) -> None:
    text = path.read_text()
    copied = set(re.findall(r"^COPY (\S+) \1$", text, re.MULTILINE)) - {"requirements"}
    installed = set(re.findall(r"^COPY (\S+)/pyproject.toml \1/$", text, re.MULTILINE))
    profile = re.search(r"RUN scripts/setup (\S+)", text)
    if profile:
        default = re.search(r"^ARG PROFILE=(\S+)$", text, re.MULTILINE)
        named = default[1] if default and "PROFILE" in profile[1] else profile[1]
        assert installed == _editables(ROOT / f"requirements/{named}.txt")
    assert copied <= installed
    assert f"services/{path.parent.name}" in copied
    assert _editables(ROOT / f"requirements/{path.parent.name}.txt") == copied
    on_path = ":".join(re.findall(r"PYTHONPATH=(\S+)", text)).split(":")
    assert {part.removeprefix("/trivium/").removesuffix("/src") for part in on_path} - {"${PYTHONPATH}"} == copied


def test_images_of_encoders_have_one_layer_in_common_that_converts_the_default_model() -> None:
    texts = {name: (ROOT / f"services/{name}/Dockerfile").read_text() for name in ("embed", "rerank")}
    common, own = {}, {}
    for name, text in texts.items():
        steps = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
        common[name], _, own[name] = steps.partition(f"COPY services/{name} services/{name}\n")
    assert common["embed"] == common["rerank"]
    assert 'RUN python -m trivium_encoders.prepare --into "${TRIVIUM_PREPARED_DIR}"\n' in common["embed"]
    assert not any("trivium_encoders.prepare" in text for text in own.values())


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_dockerfile_ends_as_nobody_with_a_health_check_and_a_bill_of_materials(path: Path) -> None:
    text = path.read_text()
    assert "\nUSER 10001:10001\n" in text
    assert "trivium_serving.probe" in text
    title = re.search(r'image.title="(.+)"', text)
    assert title is not None
    assert f'scripts/image_sbom.py {title[1]} "${{VERSION}}" /usr/share/doc/trivium/sbom.cdx.json\n' in text
    assert f'"trivium_{path.parent.name}"]' in text.splitlines()[-1]


def _editables(path: Path) -> set[str]:
    lines = path.read_text().splitlines()
    found = {re.split(r"[\[]", line.removeprefix("-e ./"))[0] for line in lines if line.startswith("-e ")}
    return found.union(*(_editables(path.parent / line[3:]) for line in lines if line.startswith("-r ")))
