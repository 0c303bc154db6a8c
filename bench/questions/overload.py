"""What a stack still does under ten times the questions it can answer, and what questions feel of bulk ingestion.

Needs a running stack on this machine (`make up`).

    .venv/bin/python bench/questions/overload.py [--seconds 10] [--times 10] [--port 8080]

Six steps: one asker alone; eight askers, whose answers a second are what is possible; the same eight while something
else refuses a flood of so many times what is possible, by a constant and without a look at it: what the machine leaves,
since it runs askers, flood and stack; questions at that rate to the stack, whether they are answered or not; one asker
beside calls that ingest; and such a flood beside them. Prints goodput as a share of what is possible and of what the
machine leaves, the p99 of refusals, and the p99 of a question beside bulk work as a multiple of that alone. Writes to
collections of its own and deletes them at the end. Questions differ, so that nothing is remembered.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import json
import math
import multiprocessing
import random
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_QUESTIONS, _BULK = "bench-overload", "bench-overload-bulk"
_TOPICS = ("ferry", "harbour", "turbine", "warranty", "glacier", "violin", "orchard", "telescope")
_MOST_PER_SECOND = 500.0
_MOST_SECONDS = 60.0
_WARM_UP_SECONDS = 15.0
_BULK_CALLS, _BULK_DOCUMENTS, _BULK_WORDS = 12, 200, 100


@dataclass(frozen=True, slots=True)
class Outcome:
    """One call.

    Attributes:
        status: Its HTTP status; 0 if the connection broke.
        seconds: How long it took.
        reason: Why it failed.
        degraded: Whether its answer is.
        retry_after: Whether a refusal says when to come again.
    """

    status: int
    seconds: float
    reason: str = ""
    degraded: bool = False
    retry_after: bool = False


class Client:
    """Calls the gateway; costs as little as it can, since it takes its time from what it measures."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, str], Any]:
        """The status, headers and body of an answer."""
        reader, writer = (
            self._idle.pop() if self._idle else await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 24)
        )
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        answer = await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection") == "close":
            writer.close()
        else:
            self._idle.append((reader, writer))
        return int(first.split(" ")[1]), headers, json.loads(answer or b"null")

    async def ask(self) -> Outcome:
        """Asks one question."""
        question = f"How heavy is the {random.choice(_TOPICS)} number {random.randrange(10**6)}?"
        begin = time.perf_counter()
        try:
            async with asyncio.timeout(70):
                status, headers, body = await self.call(
                    "POST", "/v1/answer", {"question": question, "collection": _QUESTIONS}
                )
        except (OSError, EOFError, TimeoutError) as error:
            return Outcome(0, time.perf_counter() - begin, type(error).__name__)
        seconds = time.perf_counter() - begin
        if status == 200:
            return Outcome(status, seconds, degraded=bool(body["degraded"]))
        return Outcome(status, seconds, body["error"]["reason"], retry_after="retry-after" in headers)

    async def ingest(self, collection: str, documents: int) -> None:
        """Adds documents; comes again until all of them are in."""
        texts = [
            " ".join(f"{random.choice(_TOPICS)}{random.randrange(10**6)}" for _ in range(_BULK_WORDS))
            for _ in range(documents)
        ]
        body = {"documents": [{"text": text} for text in texts], "collection": collection}
        while True:
            status, _, answer = await self.call("POST", "/v1/documents", body)
            if status == 200 and not any(one["status"] == "failed" for one in answer["documents"]):
                return
            await asyncio.sleep(1)


async def closed_loop(client: Client, askers: int, seconds: float, pause: float = 0.0) -> list[Outcome]:
    """Has so many ask again and again."""
    outcomes: list[Outcome] = []
    end = time.perf_counter() + seconds

    async def asker() -> None:
        while time.perf_counter() < end:
            outcomes.append(await client.ask())
            await asyncio.sleep(pause)

    await asyncio.gather(*(asker() for _ in range(askers)))
    return outcomes


async def open_loop(client: Client, rate: float, seconds: float) -> list[Outcome]:
    """Asks at a rate, whatever becomes of the questions."""
    start, asked = time.perf_counter(), []
    while time.perf_counter() - start < seconds:
        asked.append(asyncio.create_task(client.ask()))
        await asyncio.sleep(max(0.0, start + len(asked) / rate - time.perf_counter()))
    return await asyncio.gather(*asked)


def p99(seconds: list[float]) -> float:
    """The value that 99% do not exceed."""
    ordered = sorted(seconds)
    return ordered[math.ceil(0.99 * len(ordered)) - 1] if ordered else math.nan


def show(step: str, outcomes: list[Outcome], seconds: float) -> None:
    """Prints one step."""
    good = [one.seconds for one in outcomes if one.status == 200]
    refused = collections.Counter((one.status, one.reason) for one in outcomes if one.status != 200)
    silent = sum(one.status in (429, 503) and not one.retry_after for one in outcomes)
    print(
        f"{step}: {len(good) / seconds:.1f} answers/s, p99 {p99(good) * 1e3:.0f} ms, "
        f"degraded {sum(one.degraded for one in outcomes)}; refused {dict(refused)}, without Retry-After {silent}",
        flush=True,
    )


class Refuser(asyncio.Protocol):
    """Refuses every request with the same bytes."""

    _BODY = b'{"error":{"reason":"TOO_MANY_REQUESTS"}}'
    _ANSWER = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(self._ANSWER * data.count(b"POST /"))


def refuse(ports: Connection) -> None:
    """Serves a `Refuser` until the process is ended; says its port first."""

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Refuser, "127.0.0.1", 0)
        ports.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


async def left_by_the_machine(client: Client, rate: float, seconds: float) -> float:
    """Answers a second of eight askers while something else refuses a flood."""
    ports, end = multiprocessing.Pipe()
    refuser = multiprocessing.get_context("spawn").Process(target=refuse, args=(end,), daemon=True)
    refuser.start()
    try:
        elsewhere = Client(await asyncio.to_thread(ports.recv))
        eight, refused = await asyncio.gather(closed_loop(client, 8, seconds), open_loop(elsewhere, rate, seconds))
    finally:
        refuser.terminate()
    show("eight askers while a flood is refused elsewhere", eight, seconds)
    taken = [one.seconds for one in refused]
    print(f"  refusals there p50 {median(taken) * 1e3:.0f} ms, p99 {p99(taken) * 1e3:.0f} ms")
    return sum(one.status == 200 for one in eight) / seconds


async def flood(client: Client, step: str, rate: float, seconds: float, possible: float, left: float) -> None:
    """Asks at a rate, and prints what came of it."""
    begin = time.perf_counter()
    outcomes = await open_loop(client, rate, seconds)
    seconds = time.perf_counter() - begin
    show(step, outcomes, seconds)
    good = sum(one.status == 200 for one in outcomes) / seconds
    refused = [one.seconds for one in outcomes if one.status == 429]
    print(f"  goodput {good / possible:.2f} of what is possible, {good / left:.2f} of what the machine leaves")
    print(f"  refusals p50 {median(refused) * 1e3:.0f} ms, p99 {p99(refused) * 1e3:.0f} ms")


async def measure(client: Client, seconds: float, times: float) -> None:
    """All steps."""
    await client.ingest(_QUESTIONS, _BULK_DOCUMENTS)
    await closed_loop(client, 2, _WARM_UP_SECONDS)  # until what a question finds has been read
    alone = await closed_loop(client, 1, seconds, pause=0.1)
    show("one asker", alone, seconds)
    eight = await closed_loop(client, 8, seconds)
    show("eight askers", eight, seconds)
    possible = sum(one.status == 200 for one in eight) / seconds
    rate = min(times * possible, _MOST_PER_SECOND)
    left = await left_by_the_machine(client, rate - possible, seconds)
    await flood(client, f"{times:g} times what is possible", rate, seconds, possible, left)
    bulk = [asyncio.create_task(client.ingest(_BULK, _BULK_DOCUMENTS)) for _ in range(_BULK_CALLS)]
    await asyncio.sleep(1)
    beside = await closed_loop(client, 1, seconds, pause=0.1)
    show(f"one asker beside {_BULK_CALLS} calls that ingest", beside, seconds)
    slower = p99([one.seconds for one in beside]) / p99([one.seconds for one in alone])
    print(f"  p99 {slower:.1f} times that of one asker alone")
    await flood(client, f"{times:g} times what is possible, beside them", rate, seconds, possible, left)
    for one in bulk:
        one.cancel()
    await asyncio.gather(*bulk, return_exceptions=True)


async def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help=f"of each step, up to {_MOST_SECONDS:.0f}")
    parser.add_argument("--times", type=float, default=10.0, help="how many times what is possible")
    parser.add_argument("--port", type=int, default=8080, help="of the gateway's HTTP")
    arguments = parser.parse_args()
    client = Client(arguments.port)
    for name in (_QUESTIONS, _BULK):
        await client.call("POST", "/v1/collections", {"name": name})
    try:
        await measure(client, min(arguments.seconds, _MOST_SECONDS), arguments.times)
    finally:
        for name in (_QUESTIONS, _BULK):
            await client.call("DELETE", f"/v1/collections/{name}")


if __name__ == "__main__":
    asyncio.run(main())
