"""Which Qdrant the tests run on."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import httpx
import pytest
from contract.qdrant_under_test import QdrantServer, command, running_server
from e2e.stack import wait_until
from ports import free_ports
from qdrant_client import QdrantClient, models
from trivium_qdrant_edge.child_process import QdrantEdgeProcess

if TYPE_CHECKING:
    from pathlib import Path


def started(folder: Path, **environ: str) -> tuple[list[str], dict[str, str]]:
    arguments, variables = command(grpc_port=7334, http_port=7333, data=folder, environ=environ, python="python")
    return list(arguments), variables


def test_qdrant_under_test_is_the_embedded_engine_if_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("TRIVIUM_TEST_QDRANT", raising=False)

    arguments, environ = started(tmp_path, HOME="/home/me")

    assert arguments == [
        "python", "-m", "trivium_qdrant_edge", "--listen=127.0.0.1:7334", "--http-listen=127.0.0.1:7333",
    ]  # fmt: skip
    assert environ == {"HOME": "/home/me", "TRIVIUM_DATA_DIR": str(tmp_path)}
    assert running_server() is None


def test_qdrant_under_test_given_as_a_command_gets_its_ports_folder_and_certificate_as_a_server_reads_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRIVIUM_TEST_QDRANT", "/opt/qdrant --disable-telemetry")

    arguments, environ = started(tmp_path, TRIVIUM_TLS_CERT="/c", TRIVIUM_TLS_KEY="/k", TRIVIUM_TLS_CA="/a")

    assert arguments == ["/opt/qdrant", "--disable-telemetry"]
    expected = {
        "QDRANT__SERVICE__HOST": "127.0.0.1",
        "QDRANT__SERVICE__GRPC_PORT": "7334",
        "QDRANT__SERVICE__HTTP_PORT": "7333",
        "QDRANT__STORAGE__STORAGE_PATH": str(tmp_path / "qdrant"),
        "QDRANT__SERVICE__ENABLE_TLS": "true",
        "QDRANT__SERVICE__VERIFY_HTTPS_CLIENT_CERTIFICATE": "true",
        "QDRANT__TLS__CERT": "/c",
    }
    assert expected.items() <= environ.items()


def test_qdrant_under_test_given_as_an_address_is_reached_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIVIUM_TEST_QDRANT", "https://qdrant.example:7000")
    monkeypatch.setenv("TRIVIUM_TEST_QDRANT_GRPC_PORT", "7001")
    monkeypatch.setenv("TRIVIUM_TEST_QDRANT_API_KEY", "k")

    assert running_server() == QdrantServer("qdrant.example", 7000, 7001, https=True, api_key="k")


def test_qdrant_under_test_given_as_an_address_is_emptied_by_nobody_who_was_not_allowed_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRIVIUM_TEST_QDRANT", "http://qdrant.example:7000")
    monkeypatch.delenv("TRIVIUM_TEST_QDRANT_MAY_BE_EMPTIED", raising=False)
    with pytest.raises(RuntimeError, match="delete all that is stored at"):
        started(tmp_path)

    monkeypatch.setenv("TRIVIUM_TEST_QDRANT_MAY_BE_EMPTIED", "yes")
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "2")
    with pytest.raises(RuntimeError, match="one process"):
        started(tmp_path)


_VECTORS = models.VectorParams(size=4, distance=models.Distance.COSINE)


def _ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").is_success
    except httpx.TransportError:
        return False


def test_qdrant_under_test_given_as_an_address_is_killed_and_started_like_one_that_is_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    http_port, grpc_port = free_ports(2)

    def names() -> list[str]:
        client = QdrantClient(port=http_port, grpc_port=grpc_port, prefer_grpc=True, check_compatibility=False)
        try:
            return [one.name for one in client.get_collections().collections]
        finally:
            client.close()

    with QdrantEdgeProcess(tmp_path / "elsewhere") as server:
        behind = QdrantClient(
            port=server.http_port, grpc_port=server.grpc_port, prefer_grpc=True, check_compatibility=False
        )
        monkeypatch.setenv("TRIVIUM_TEST_QDRANT", f"http://127.0.0.1:{server.http_port}")
        monkeypatch.setenv("TRIVIUM_TEST_QDRANT_GRPC_PORT", str(server.grpc_port))
        monkeypatch.setenv("TRIVIUM_TEST_QDRANT_MAY_BE_EMPTIED", "yes")
        monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT", raising=False)
        behind.create_collection("left", vectors_config=_VECTORS)
        for folder, found in (("a", []), ("a", ["new"]), ("b", [])):
            arguments, environ = command(
                grpc_port=grpc_port, http_port=http_port, data=tmp_path / folder, environ=os.environ
            )
            relay = subprocess.Popen(arguments, env=environ)
            try:
                wait_until(lambda: _ready(http_port), "relay")
                assert names() == found
                if not found:
                    behind.create_collection("new", vectors_config=_VECTORS)
            finally:
                relay.kill()
                relay.wait()
            assert not _ready(http_port)
        behind.close()
