"""TLS from the SDK and the command to a real server, and calls that are sent again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from tls.certificates import authority, issued
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium.gateway.v1 import gateway_service_pb2_grpc
from trivium_client import GatewayUnreachable, InvalidRequest, Trivium
from trivium_client.cli.app import app
from typer.testing import CliRunner

if TYPE_CHECKING:
    from pathlib import Path


class Gateway(gateway_service_pb2_grpc.GatewayServiceServicer):
    """Knows its collections, over mTLS."""

    def __init__(self, folder: Path) -> None:
        self.authority = authority(folder)
        self.known = issued(self.authority, folder, "known")
        shown = issued(self.authority, folder, "gateway", for_names="IP:127.0.0.1")
        pairs = [(shown.key.read_bytes(), shown.certificate.read_bytes())]
        roots = self.authority.certificate.read_bytes()
        self.server = grpc.server(ThreadPoolExecutor(2))
        gateway_service_pb2_grpc.add_GatewayServiceServicer_to_server(self, self.server)
        credentials = grpc.ssl_server_credentials(pairs, roots, require_client_auth=True)
        self.address = f"127.0.0.1:{self.server.add_secure_port('127.0.0.1:0', credentials)}"
        self.server.start()

    def ListCollections(self, request: Any, context: Any) -> Any:
        return pb.ListCollectionsResponse(collections=[pb.Collection(name="default")])


@pytest.fixture
def gateway(tmp_path: Path) -> Any:
    gateway = Gateway(tmp_path)  # type: ignore[abstract]  # the rest is not called
    yield gateway
    gateway.server.stop(None).wait()


def test_client_with_a_certificate_is_let_in_and_without_is_told_what_to_set(gateway: Gateway) -> None:
    known, trusted = gateway.known, gateway.authority.certificate
    with Trivium(gateway.address, tls_ca=trusted, tls_cert=known.certificate, tls_key=known.key) as trivium:
        assert [collection.name for collection in trivium.list_collections()] == ["default"]
    with Trivium(gateway.address, tls_ca=trusted) as nobody, pytest.raises(GatewayUnreachable, match="certificate"):
        nobody.list_collections()
    with Trivium(gateway.address) as plain, pytest.raises(GatewayUnreachable, match="TRIVIUM_TLS_CA"):
        plain.list_collections()
    with (
        Trivium(gateway.address, tls_ca=known.certificate) as misled,
        pytest.raises(GatewayUnreachable, match="no authority in TRIVIUM_TLS_CA"),
    ):
        misled.list_collections()


def test_command_takes_the_files_from_flags(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("TRIVIUM_TLS_CA", "TRIVIUM_TLS_CERT", "TRIVIUM_TLS_KEY"):
        monkeypatch.setenv(variable, "")  # so that what the command sets is undone
    files = {"ca": gateway.authority.certificate, "cert": gateway.known.certificate, "key": gateway.known.key}
    flags = [part for name, path in files.items() for part in (f"--tls-{name}", str(path))]

    result = CliRunner().invoke(app, [*flags, "collections", "list", "--gateway", gateway.address, "--json"])

    assert result.exit_code == 0, result.output
    assert "default" in result.stdout


def test_files_that_cannot_be_used_are_refused_at_once(tmp_path: Path) -> None:
    made = authority(tmp_path)
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"tls_ca": tmp_path / "missing"}, "cannot read"),
        ({"tls_ca": made.key}, "no certificates"),
        ({"tls_ca": made.certificate, "tls_cert": made.certificate}, "needs its key"),
        ({"tls_cert": made.certificate, "tls_key": made.key}, "whom to trust"),
    )
    for files, problem in cases:
        with pytest.raises(InvalidRequest, match=problem) as raised:
            Trivium("127.0.0.1:1", **files)
        assert raised.value.reason == "INVALID_TLS_FILES"


def test_call_that_a_leaving_gateway_turned_away_is_sent_again(gateway: Any) -> None:
    seen: list[int] = []

    def turned_away_once(_request: Any, context: Any) -> Any:
        seen.append(len(seen))
        if len(seen) == 1:
            context.abort(grpc.StatusCode.CANCELLED, "shutting down")
        return pb.ListCollectionsResponse(collections=[pb.Collection(name="default")])

    gateway.ListCollections = turned_away_once
    server = grpc.server(ThreadPoolExecutor(2))
    gateway_service_pb2_grpc.add_GatewayServiceServicer_to_server(gateway, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with Trivium(f"127.0.0.1:{port}") as trivium:
        assert len(trivium.list_collections()) == 1
    server.stop(None).wait()
    assert len(seen) == 2
