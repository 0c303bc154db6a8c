"""The least version of Qdrant is one, wherever it is told or set."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from trivium_client.doctor import qdrant as doctor
from trivium_gateway.qdrant.version import LEAST_VERSION

ROOT = Path(__file__).resolve().parents[2]
LEAST = ".".join(map(str, LEAST_VERSION))
_TAG = re.compile(r"qdrant/qdrant:v(\d+)\.(\d+)|^\s*tag: v(\d+)\.(\d+)", re.MULTILINE)


def test_doctor_knows_the_gateways_minimum() -> None:
    assert doctor.LEAST_VERSION == LEAST


@pytest.mark.parametrize("page", ["docs/operations.md", "docs/kubernetes.md", "docs/errors.md", "docs/cli.md"])
def test_pages_name_the_minimum(page: str) -> None:
    named = re.findall(r"Qdrant (\d+\.\d+) or later", (ROOT / page).read_text())

    assert set(named) == {LEAST}


@pytest.mark.parametrize("file", ["docker-compose.yml", "deploy/k8s/base/qdrant.yaml", "deploy/k8s/qdrant-values.yaml"])
def test_images_are_new_enough(file: str) -> None:
    tags = [tuple(int(part) for part in found if part) for found in _TAG.findall((ROOT / file).read_text())]

    assert tags
    assert min(tags) >= LEAST_VERSION
