"""Which Qdrant the tests run on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from contract.qdrant_under_test import QdrantServer, command, running_server

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


def test_qdrant_under_test_given_as_an_address_is_for_tests_that_leave_it_running(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRIVIUM_TEST_QDRANT", "https://qdrant.example:7000")
    monkeypatch.setenv("TRIVIUM_TEST_QDRANT_GRPC_PORT", "7001")
    monkeypatch.setenv("TRIVIUM_TEST_QDRANT_API_KEY", "k")

    assert running_server() == QdrantServer("qdrant.example", 7000, 7001, https=True, api_key="k")
    with pytest.raises(RuntimeError, match="TRIVIUM_TEST_QDRANT must be a command"):
        started(tmp_path)
