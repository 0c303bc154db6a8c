"""One running stack with a few documents in it, for clients from the package index."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "false"  # it is read when Haystack is imported
os.environ["LANGSMITH_TRACING"] = "false"

pytest.importorskip("haystack", reason="needs the clients of others; run scripts/test-clients, which installs them")

from e2e.stack import Stack, ready

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
SERVICES_PYTHON = ROOT / ".venv" / "bin" / "python"

DOCUMENTS = [
    {
        "id": "kx-200/warranty",
        "title": "Warranty of the KX-200",
        "uri": "https://example.org/kx-200/warranty",
        "text": "The warranty of the KX-200 pump lasts 24 months. It begins on the day of delivery.",
        "metadata": {"year": 2024, "lang": "en"},
    },
    {
        "id": "kx-200/filter",
        "title": "Filter of the KX-200",
        "text": "Change the filter of the KX-200 pump every six months, or after 500 hours of work.",
        "metadata": {"year": 2021, "lang": "en"},
    },
    {
        "id": "office",
        "title": "Office hours",
        "text": "The office in Basel is open from nine to five, and closed on Sundays.",
        "metadata": {"year": 2020, "lang": "en"},
    },
]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A ready stack that knows DOCUMENTS."""
    assert SERVICES_PYTHON.exists(), "the stack runs from .venv; make it with scripts/setup"
    with ready(Stack(tmp_path_factory.mktemp("clients"), python=str(SERVICES_PYTHON))) as stack:
        assert {result["status"] for result in stack.ingest(*DOCUMENTS)} == {"indexed"}
        yield stack


@pytest.fixture(scope="session")
def gateway(stack: Stack) -> str:
    """The gateway's gRPC address."""
    return f"127.0.0.1:{stack.grpc_port}"


@pytest.fixture(scope="session")
def base_url(stack: Stack) -> str:
    """The gateway's HTTP address, without a path."""
    return f"http://127.0.0.1:{stack.http_port}"
