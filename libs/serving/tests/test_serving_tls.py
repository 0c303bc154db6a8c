"""TLS between a server and its callers, with certificates made for each test."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import ssl
import sys
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from prometheus_client import CollectorRegistry
from tls.certificates import Certificate, authority, issued
from trivium.rerank.v1 import rerank_service_pb2_grpc
from trivium_serving import renewed_channel
from trivium_serving.channels import open_channel
from trivium_serving.server import GrpcServer
from trivium_serving.tls import TlsError, TlsFiles, hint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Files:
    """A process's files, which the environment of the test names."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.folder = folder
        self.authority = authority(folder)

    def use(self, shown: Certificate | None, trusted: Certificate | None = None) -> None:
        """Sets the variables."""
        for variable, path in (
            ("TRIVIUM_TLS_CERT", shown and shown.certificate),
            ("TRIVIUM_TLS_KEY", shown and shown.key),
            ("TRIVIUM_TLS_CA", trusted and trusted.certificate),
        ):
            if path is None:
                self._monkeypatch.delenv(variable, raising=False)
            else:
                self._monkeypatch.setenv(variable, str(path))

    def issue(self, name: str = "service", **options: Any) -> Certificate:
        """Makes a certificate of the authority that is trusted."""
        return issued(self.authority, self.folder, name, **options)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    return Files(tmp_path, monkeypatch)


@contextlib.asynccontextmanager
async def serving(registry: CollectorRegistry | None = None) -> AsyncIterator[str]:
    """A server with the environment's certificates, which serves."""
    server = GrpcServer(
        service="rerank",
        listen="127.0.0.1:0",
        full_names=("trivium.rerank.v1.RerankService",),
        registry=registry or CollectorRegistry(),
    )
    servicer: Any = type("Unused", (), {"Rerank": None, "GetModel": None})
    rerank_service_pb2_grpc.add_RerankServiceServicer_to_server(servicer, server.grpc)
    port = await server.start()
    await server.health.set_server(True)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


async def check(channel: grpc.aio.Channel) -> str:
    """Asks for the server's health: its status, or the hint about why it cannot be reached."""
    stub: Any = HealthStub(channel)
    try:
        response = await stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
    except grpc.aio.AioRpcError as error:
        return hint(error.details() or "")
    return health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)


async def test_calls_to_a_server_with_a_certificate_are_encrypted(files: Files) -> None:
    files.use(files.issue())
    async with serving() as target:
        files.use(None, files.authority)
        async with open_channel(target) as trusting:
            assert await check(trusting) == "SERVING"
        files.use(None)
        async with open_channel(target) as plain:
            assert "set TRIVIUM_TLS_CA here" in await check(plain)


async def test_mutual_tls_refuses_who_shows_no_certificate_or_a_strangers(files: Files) -> None:
    certificate = files.issue()
    files.use(certificate, files.authority)
    async with serving() as target:
        async with open_channel(target) as known:
            assert await check(known) == "SERVING"
        files.use(None, files.authority)
        async with open_channel(target) as nobody:
            assert "TRIVIUM_TLS_CERT" in await check(nobody)
        files.use(issued(authority(files.folder, "other"), files.folder, "stranger"), files.authority)
        async with open_channel(target) as stranger:
            assert "TRIVIUM_TLS_CERT" in await check(stranger)


async def test_a_server_that_is_not_whom_one_meant_is_refused_with_a_hint(files: Files) -> None:
    files.use(files.issue(for_names="DNS:rerank"))
    async with serving() as target:
        files.use(None, files.authority)
        async with open_channel(target) as channel:
            assert "another name" in await check(channel)
        files.use(None, authority(files.folder, "other"))
        async with open_channel(target) as channel:
            assert "not by an authority in TRIVIUM_TLS_CA" in await check(channel)
    files.use(None)
    async with serving() as target:
        files.use(None, files.authority)
        async with open_channel(target) as channel:
            assert "speaks no TLS" in await check(channel)


async def test_new_certificates_are_taken_up_by_both_sides_without_a_restart(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewed_channel, "_LOOK_SECONDS", 0.0)
    first, second = files.issue("first"), files.issue("second")
    used = Certificate(files.folder / "used.crt", files.folder / "used.key")
    trusted = Certificate(files.folder / "trusted.crt", files.folder / "trusted.key")

    def put(certificate: Certificate, by: Certificate) -> None:
        for source, destination in (
            (certificate.certificate, used.certificate),
            (certificate.key, used.key),
            (by.certificate, trusted.certificate),
        ):
            shutil.copy(source, destination.with_suffix(".new"))
            destination.with_suffix(".new").rename(destination)

    async def shown(target: str) -> str:
        host, port = target.split(":")
        return await asyncio.to_thread(ssl.get_server_certificate, (host, int(port)))

    put(first, files.authority)
    files.use(used)
    async with serving() as watched:
        assert await shown(watched) == first.certificate.read_text()
        put(second, files.authority)
        assert await shown(watched) == second.certificate.read_text()
        used.key.write_text("half written")
        assert await shown(watched) == second.certificate.read_text()

    put(first, files.authority)
    files.use(used, trusted)
    async with serving() as target, open_channel(target) as channel:
        assert await check(channel) == "SERVING"
        # Everything changes, the authority too: only who has read all of it again still gets through.
        other = authority(files.folder, "other")
        put(issued(other, files.folder, "third"), other)
        assert await check(channel) == "SERVING"
        files.use(first, files.authority)
        async with open_channel(target) as old:
            assert "TRIVIUM_TLS_CA" in await check(old)


async def test_metric_shows_when_the_certificate_in_use_ends(files: Files) -> None:
    registry, name = CollectorRegistry(), "trivium_rerank_certificate_end_timestamp_seconds"
    used = files.issue()
    files.use(used)
    async with serving(registry):
        ends = TlsFiles(used.certificate, used.key).read().ends
        assert ends is not None
        assert registry.get_sample_value(name) == ends.timestamp()
        used.key.write_text("half written")  # the old one stays in use
        assert registry.get_sample_value(name) == ends.timestamp()
    files.use(None)
    registry = CollectorRegistry()
    async with serving(registry):
        assert registry.get_sample_value(name) == 0


async def test_probe_asks_with_the_certificate_of_its_own_process(files: Files) -> None:
    files.use(files.issue(for_names="DNS:trivium-rerank"), files.authority)
    async with serving() as target:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "trivium_serving.probe", target, stderr=asyncio.subprocess.PIPE
        )
        _, problem = await process.communicate()
        assert process.returncode == 0, problem


def test_files_that_cannot_be_used_are_named_with_what_is_wrong(files: Files) -> None:
    good, ended = files.issue(), files.issue("ended", days=-1)
    missing = files.folder / "missing.pem"
    other_key = files.issue("other").key
    for certificate, key, trusted, problem in (
        (good.certificate, missing, None, f"cannot read {missing}"),
        (good.certificate, other_key, None, "are not a certificate and its key"),
        (other_key, other_key, None, "are not a certificate and its key"),
        (good.certificate, good.key, good.key, "holds no certificates"),
        (good.certificate, good.key, missing, f"cannot read {missing}"),
        (ended.certificate, ended.key, None, r"ended on 20\d\d-\d\d-\d\d \d\d:\d\d UTC"),
    ):
        with pytest.raises(TlsError, match=problem):
            TlsFiles(certificate, key, trusted).read()


def test_a_certificate_without_its_key_is_refused() -> None:
    with pytest.raises(TlsError, match="TRIVIUM_TLS_CERT is set, but TRIVIUM_TLS_KEY is not"):
        TlsFiles.from_environment({"TRIVIUM_TLS_CERT": "a.crt"})
    assert TlsFiles.from_environment({"TRIVIUM_TLS_CERT": ""}) == TlsFiles()


def test_content_of_the_files_is_shown_without_the_key(files: Files) -> None:
    certificate = files.issue()

    content = TlsFiles(certificate.certificate, certificate.key).read()

    assert content.names == ("127.0.0.1", "localhost")
    assert "PRIVATE" not in repr(content)
    assert os.linesep not in repr(content)
