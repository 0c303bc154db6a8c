"""A stack that has seen all kinds of traffic, and that a Prometheus has watched, if there is one."""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from e2e.stack import Stack, wait_until
from ports import free_ports
from telemetry.language_model_api import language_model_api
from telemetry.prometheus import Prometheus, running_prometheus

if TYPE_CHECKING:
    from collections.abc import Iterator

_QUESTIONS = ("When did the bridge open?", "Who painted the towers?", "How long is the span?")
_DOCUMENTS: list[dict[str, Any]] = [
    {"id": "bridge", "title": "The bridge", "text": "The bridge opened in May 1937. Boats pass below it every day."},
    {"id": "towers", "text": "The towers were painted by a crew of thirty. " * 20, "metadata": {"year": 1937}},
    {"id": "span", "text": "# Span\n\nThe main span is 1280 metres long."},
]
_WATCHED_SECONDS = 6


@dataclass(frozen=True, slots=True)
class WatchedStack:
    """A stack after its traffic.

    Attributes:
        stack: The processes.
        addresses: Where each serves its metrics, by service.
        before: What each served before any traffic.
        prometheus: What watched it; None if none is installed.
    """

    stack: Stack
    addresses: dict[str, str]
    before: dict[str, str]
    prometheus: Prometheus | None

    def scrape(self, service: str) -> str:
        """What a process serves now."""
        return self.stack.http.get(f"http://{self.addresses[service]}/metrics").raise_for_status().text


def _ask(stack: Stack) -> None:
    for question in _QUESTIONS:
        stack.answer(question)
        stack.http.post("/v1/retrieve", json={"query": question}).raise_for_status()
        with stack.http.stream(
            "POST", "/v1/answer", json={"question": question}, headers={"accept": "text/event-stream"}
        ) as events:
            assert [line for line in events.iter_lines() if line]


def _send_all_kinds_of_traffic(stack: Stack) -> None:
    stack.ingest(*_DOCUMENTS)
    stack.ingest(*_DOCUMENTS)
    assert stack.ingest({"id": "nothing", "text": " "})[0]["status"] == "failed"
    begin = time.monotonic()
    _ask(stack)
    assert not stack.answer("When?", filter={"metadata.year": 1800})["answerable"]
    for path, body in (("/v1/answer", {"question": " "}), ("/v1/nowhere", {}), ("/v1/documents", {"documents": 1})):
        assert stack.http.post(path, json=body).status_code in (400, 404, 422)
    assert stack.http.get("/v1/documents/no-such-document").status_code == 404
    stack.end("rerank")
    assert stack.answer("When did the bridge open, without a reranker?")["degraded"]
    stack.start("rerank")
    stack.wait_stage("rerank", True)
    while time.monotonic() - begin < _WATCHED_SECONDS:
        _ask(stack)
    stack.http.delete("/v1/documents/span").raise_for_status()


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedStack]:
    """The stack after ingestion, questions of all kinds, mistakes, and a death."""
    services = ("embed", "rerank", "generate")
    ports = dict(zip(services, free_ports(len(services)), strict=True))
    folder = tmp_path_factory.mktemp("telemetry")
    with ExitStack() as cleanup:
        environ = {f"TRIVIUM_{service.upper()}_METRICS_PORT": str(port) for service, port in ports.items()} | {
            "TRIVIUM_GENERATE_BACKEND": "openai",
            "TRIVIUM_GENERATE_MODEL": "tiny",
            "TRIVIUM_GENERATE_API_URL": cleanup.enter_context(language_model_api()),
            "TRIVIUM_GENERATE_API_KEY": "key",
        }
        stack = Stack(folder / "stack", environ)
        cleanup.callback(stack.http.close)
        addresses = {service: f"127.0.0.1:{port}" for service, port in ports.items()}
        addresses["gateway"] = f"127.0.0.1:{stack.http_port}"
        addresses["qdrant_edge"] = stack.environ["TRIVIUM_QDRANT_EDGE_HTTP_LISTEN"]
        cleanup.callback(stack.end)
        stack.start()
        stack.wait_ready()
        before = {service: stack.http.get(f"http://{at}/metrics").text for service, at in addresses.items()}
        prometheus = None
        if shutil.which("prometheus"):
            targets = {service.removesuffix("_edge"): address for service, address in addresses.items()}
            prometheus = cleanup.enter_context(running_prometheus(folder, targets))
            wait_until(prometheus.ready, "Prometheus", 30)
        _send_all_kinds_of_traffic(stack)
        yield WatchedStack(stack, addresses, before, prometheus)
