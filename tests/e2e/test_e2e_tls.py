"""The whole stack with mTLS: a question in, an answer out, and nobody without a certificate let in."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import httpx
import pytest
from tls.certificates import authority, issued
from trivium_client import GatewayUnreachable, NewDocument, Trivium

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from e2e.stack import Stack


def test_stack_over_mutual_tls_answers_whoever_shows_a_certificate(
    make_stack: Callable[..., Stack], tmp_path: Path
) -> None:
    trusted = authority(tmp_path)
    service, person = issued(trusted, tmp_path), issued(trusted, tmp_path, "person")
    stack = make_stack(
        TRIVIUM_TLS_CERT=str(service.certificate),
        TRIVIUM_TLS_KEY=str(service.key),
        TRIVIUM_TLS_CA=str(trusted.certificate),
    )
    stack.environ["TRIVIUM_GATEWAY_QDRANT_URL"] = stack.environ["TRIVIUM_GATEWAY_QDRANT_URL"].replace("http", "https")
    stack.http.close()
    stack.http = httpx.Client(
        base_url=f"https://127.0.0.1:{stack.http_port}",
        timeout=60,
        verify=ssl.create_default_context(cafile=str(trusted.certificate)),
    )
    stack.start()
    stack.wait_ready()
    address = f"127.0.0.1:{stack.grpc_port}"

    with Trivium(address, tls_ca=trusted.certificate, tls_cert=person.certificate, tls_key=person.key) as trivium:
        [result] = trivium.ingest([NewDocument("The otter sleeps in a den that is called a holt.", id="otter")])
        assert result.status == "indexed"
        answer = trivium.ask("What is an otter's den called?")
    assert "holt" in answer.answer
    assert not answer.degraded
    assert "holt" in stack.answer("What is an otter's den called?")["answer"]
    with Trivium(address, tls_ca=trusted.certificate) as stranger, pytest.raises(GatewayUnreachable):
        stranger.status()
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{stack.http_port}/healthz")
