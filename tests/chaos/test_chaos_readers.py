"""Clients that ask for the longest streams and read nothing: what they cost others, and the gateway."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from e2e.stack import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from chaos.conftest import Scale
    from e2e.stack import Stack

_FAT = 15_000
"""Characters of a document's metadata, near the most: a stream of a hundred such passages is some megabytes."""
_MOST_MIB_EACH = 8


def _ask_and_read_nothing(port: int) -> socket.socket:
    body = json.dumps(
        {"question": "How heavy is the ferry?", "collection": "fat", "top_n": 100, "candidates": 100, "stream": True}
    )
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    client.connect(("127.0.0.1", port))
    client.sendall(
        f"POST /v1/answer HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    return client


@pytest.mark.timeout(900)
def test_readers_that_read_nothing_cost_neighbours_no_answer_and_little_memory(
    make_stack: Callable[..., Stack], scale: Scale, seen: Callable[[str], None]
) -> None:
    readers, most = scale.pick((40, 8), (500, 256))
    stack = make_stack(TRIVIUM_GATEWAY_MAX_QUESTIONS=str(most))
    stack.start()
    stack.wait_ready()
    stack.http.post("/v1/collections", json={"name": "fat"}).raise_for_status()
    pad = {"pad": "w " * (_FAT // 2)}
    stack.ingest(
        *({"id": f"f{n}", "text": f"The ferry {n} weighs {n} tons.", "metadata": pad} for n in range(100)),
        collection="fat",
    )
    stack.ingest({"id": "violin", "text": "The violin weighs 400 grams."})
    stack.answer("How heavy is the violin?")
    before = stack.memory_bytes("gateway")

    answers: list[tuple[int, float]] = []

    def is_answered() -> bool:
        begin = time.monotonic()
        status = stack.http.post("/v1/answer", json={"question": "How heavy is the violin?"}).status_code
        answers.append((status, time.monotonic() - begin))
        return status == 200

    with contextlib.ExitStack() as clients:
        for number in range(readers):
            clients.enter_context(contextlib.closing(_ask_and_read_nothing(stack.http_port)))
            if number % 4 == 3:  # a neighbour asks all the while, and so the readers come as they can be let in
                is_answered()
        # However many still read nothing, they leave room.
        wait_until(is_answered, "answer beside readers", 20)
        grown = (stack.memory_bytes("gateway") - before) >> 20
    wait_until(is_answered, "answer after they left", 60)

    statuses = Counter(status for status, _ in answers)
    seen(
        f"{readers} readers: neighbours got {dict(statuses)}, the longest after {max(took for _, took in answers):.1f} "
        f"s; the gateway grew by {grown} MiB"
    )
    assert set(statuses) <= {200, 429}
    assert grown < readers * _MOST_MIB_EACH
