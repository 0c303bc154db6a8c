"""Clients that leave in the middle, gateways that are killed, two that write the same: readers see whole documents."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from chaos.witness import PATIENCE_SECONDS, further_gateway, list_documents
from e2e.stack import wait_until

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    from chaos.conftest import Scale
    from e2e.stack import Stack

_SENTENCES = 60
"""Enough for some chunks a document."""

_DOCUMENTS = 8


def _text(document: int, version: str) -> str:
    return f"Version {version} of document {document}. " + "".join(
        f"Sentence {number} of version {version} of document {document} tells of the harbour and the ferry. "
        for number in range(_SENTENCES)
    )


def _documents(version: str) -> list[dict[str, str]]:
    return [{"id": f"d{number}", "text": _text(number, version)} for number in range(_DOCUMENTS)]


def _leave_in_the_middle(stack: Stack, version: str, seconds: float) -> None:
    """Sends a whole request, and hangs up some time later without reading an answer."""
    body = json.dumps({"documents": _documents(version)}).encode()
    head = (
        f"POST /v1/documents HTTP/1.1\r\nHost: 127.0.0.1:{stack.http_port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", stack.http_port), timeout=10) as connection:
        connection.sendall(head.encode() + body)
        connection.settimeout(seconds)
        try:
            connection.recv(1)
        except TimeoutError:
            return


def assert_readers_see_whole_documents(stack: Stack, versions: set[str]) -> None:
    """What is listed, what is read and what is found are the same documents, each in one version."""
    possible = {_text(number, version) for version in versions for number in range(_DOCUMENTS)}
    texts = {one: stack.http.get(f"/v1/documents/{one}").json().get("text") for one in list_documents(stack, "default")}
    assert set(texts.values()) <= possible, set(texts.values()) - possible
    for number in range(_DOCUMENTS):
        query = {"query": _text(number, "")[:200], "top_n": 100, "candidates": 1000, "rerank": False}
        for passage in _found(stack, query):
            document, span = passage["document_id"], passage["span"]
            assert document in texts, f"{document} is found and not listed"
            found = texts[document][span["start"] : span["end"]]
            assert found == passage["text"], f"{document} is found in another version"


def _found(stack: Stack, query: dict[str, Any]) -> list[dict[str, Any]]:
    """What is found; asked again where there is no place or no engine at the moment, which is said."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        response = stack.http.post("/v1/retrieve", json=query)
        if response.status_code == 200:
            passages: list[dict[str, Any]] = response.json()["passages"]
            return passages
        assert response.status_code in (429, 503), response.text
        assert time.monotonic() < end, response.text
        time.sleep(0.5)


@pytest.fixture
def stack(make_stack: Callable[[], Stack]) -> Stack:
    """What it takes to write and to search."""
    stack = make_stack()
    stack.start("qdrant_edge", "embed", "gateway")
    wait_until(lambda: stack.stages().get("search", False) and stack.stages().get("embed", False), "stack", 120)
    return stack


@pytest.mark.timeout(3600)
def test_clients_that_leave_in_the_middle_leave_nothing_half(
    stack: Stack, scale: Scale, chance: random.Random, seen: Callable[[str], None]
) -> None:
    calls = scale.pick(12, 200)
    versions = {"first"}
    stack.ingest(*_documents("first")[: _DOCUMENTS // 2])
    for call in range(calls):
        version = f"v{call}"
        versions.add(version)
        _leave_in_the_middle(stack, version, chance.uniform(0.01, 0.6))
        if call % 10 == 0:
            assert_readers_see_whole_documents(stack, versions)

    assert_readers_see_whole_documents(stack, versions)
    seen(f"{calls} clients left; {len(list_documents(stack, 'default'))} documents, all whole")


@pytest.mark.timeout(3600)
def test_gateway_killed_while_it_writes_leaves_nothing_half(
    stack: Stack, scale: Scale, chance: random.Random, seen: Callable[[str], None]
) -> None:
    kills = scale.pick(3, 50)
    versions = {"first"}
    stack.ingest(*_documents("first")[: _DOCUMENTS // 2])
    for kill in range(kills):
        version = f"k{kill}"
        versions.add(version)
        leaving = threading.Thread(target=_leave_in_the_middle, args=(stack, version, 30))
        leaving.start()
        leaving.join(chance.uniform(0.05, 0.6))  # the moment is the experiment
        stack.end("gateway", by=signal.SIGKILL)
        leaving.join(30)
        stack.start("gateway")
        wait_until(lambda: stack.stages().get("search", False), "gateway", 60)
        assert_readers_see_whole_documents(stack, versions)
    seen(f"{kills} kills; {len(list_documents(stack, 'default'))} documents, all whole")


@pytest.mark.timeout(3600)
def test_two_gateways_that_write_the_same_documents_leave_one_version_of_each(
    stack: Stack, tmp_path: Path, scale: Scale, seen: Callable[[str], None]
) -> None:
    other = further_gateway(stack, tmp_path / "other")
    other.start("gateway")
    try:
        wait_until(lambda: other.stages().get("search", False), "second gateway", 60)
        rounds = scale.pick(3, 40)
        for number in range(rounds):
            threads = [
                threading.Thread(target=_write, args=(gateway, f"{letter}{number}"))
                for gateway, letter in ((stack, "a"), (other, "b"), (stack, "c"), (other, "d"))
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            versions = {f"{letter}{number}" for letter in "abcd"}
            assert len(list_documents(stack, "default")) == _DOCUMENTS
            assert_readers_see_whole_documents(stack, versions)
            assert_readers_see_whole_documents(other, versions)
        seen(f"{rounds} rounds of two gateways and four writers: one version of each of {_DOCUMENTS} documents")
    finally:
        other.end()
        other.http.close()


def _write(stack: Stack, version: str) -> None:
    response = stack.http.post("/v1/documents", json={"documents": _documents(version)}, timeout=httpx.Timeout(60))
    response.raise_for_status()
    assert {one["status"] for one in response.json()["documents"]} <= {"indexed", "updated", "unchanged"}, response.text
