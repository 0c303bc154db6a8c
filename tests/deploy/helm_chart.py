"""Renders the chart by Helm's own code, and brings what comes out into a form that can be compared with kustomize's."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from deploy.kubernetes_builds import ROOT, Object

if TYPE_CHECKING:
    from collections.abc import Iterable

CHART = ROOT / "deploy/helm/trivium"
_OF_HELM = {
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/instance",
    "helm.sh/chart",
    "trivium.dev/configuration",
    "imagePullPolicy",
}
_HASHED = re.compile(r"(trivium-[\w-]+)-[a-z0-9]{10}")


class ChartError(Exception):
    """Helm refuses the chart or the values; the message says why."""


def render(values: dict[str, Any], namespace: str = "trivium") -> tuple[Object, ...]:
    """All objects of the chart with some values, by the command helm or by its library; skips where neither is.

    Raises:
        ChartError: If Helm refuses them.
    """
    text = _by_command(values, namespace) if shutil.which("helm") else _by_library(values, namespace)
    return tuple(one for one in yaml.safe_load_all(text) if one)


def _by_command(values: dict[str, Any], namespace: str) -> str:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(values, file)
        file.flush()
        command = ["helm", "template", "trivium", str(CHART), "--namespace", namespace, "--values", file.name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise ChartError(done.stderr)
    return done.stdout


def _by_library(values: dict[str, Any], namespace: str) -> str:
    helm = pytest.importorskip("helm_python", reason="neither helm nor helm-python-sdk is installed")
    with helm.Chart.load(str(CHART)) as chart:
        try:
            chart.validate_schema(chart.merge_values(values))
            made: dict[str, str] = chart.render(values, name="trivium", namespace=namespace)
        except helm.HelmError as error:
            raise ChartError(str(error)) from error
    return "\n".join(text for name, text in made.items() if name.endswith(".yaml"))


def comparable(objects: Iterable[Object]) -> dict[str, Object]:
    """Objects by kind and name, without what only one of the tools adds; lists of named things by their names."""
    text = json.dumps([one for one in objects if one["kind"] != "Namespace"])
    # Kustomize restarts pods by a hash in the names of what they read, the chart by a checksum among their annotations.
    for one in objects:
        if one["kind"] == "ConfigMap" and (hashed := _HASHED.fullmatch(one["metadata"]["name"])):
            text = text.replace(f'"{hashed[0]}"', f'"{hashed[1]}"')
    found = {}
    for one in json.loads(text):
        one["metadata"].pop("namespace", None)
        found[f"{one['kind']}/{one['metadata']['name']}"] = _plain(one)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        items = [_plain(each) for each in value]
        named = all(isinstance(each, dict) and ("name" in each or "mountPath" in each) for each in items)
        return sorted(items, key=lambda each: json.dumps(each, sort_keys=True)) if named else items
    if not isinstance(value, dict):
        return value
    fields = {key: _plain(each) for key, each in value.items() if key not in _OF_HELM}
    return {key: each for key, each in fields.items() if not (key in ("labels", "annotations") and each == {})}
