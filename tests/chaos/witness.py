"""Clients that write and ask without pause while things break, and know what must be true afterwards."""

from __future__ import annotations

import contextlib
import random
import threading
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
from e2e.stack import Stack, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

Key = tuple[str, str]
"""A collection and a document in it."""

_TOPICS = ("ferry", "harbour", "turbine", "glacier", "orchard", "violin", "telescope")
PATIENCE_SECONDS = 900.0
"""A machine may stand still for minutes, as one that others measure on does."""


def name_of(number: int) -> str:
    """A collection; number 0 is the one that requests without a name mean."""
    return f"c{number:03}" if number else "default"


def create_collections(stack: Stack, count: int) -> list[str]:
    """Makes that many collections, `default` among them, and returns their names."""
    names = [name_of(number) for number in range(count)]
    for name in names[1:]:
        wait_until(partial(_is_created, stack, name), f"collection {name}", PATIENCE_SECONDS)
    return names


def _is_created(stack: Stack, name: str) -> bool:
    """Makes a collection, unless the machine is too busy for it now."""
    response = stack.http.post("/v1/collections", json={"name": name})
    assert response.status_code in (200, 201, 409, 429, 503), response.text
    return response.status_code not in (429, 503)


class Witness:
    """Writers and askers of some collections.

    Args:
        stack: Where to.
        collections: Names of collections that exist.
        seed: Of what they choose.
        writers: How many write and delete.
        askers: How many look for what was there from the beginning.
        pause_seconds: How long each rests from one call to the next.
    """

    def __init__(
        self,
        stack: Stack,
        collections: Sequence[str],
        *,
        seed: int,
        writers: int = 3,
        askers: int = 2,
        pause_seconds: float = 0.0,
    ) -> None:
        self._stack = stack
        self._collections = collections
        self._seed = seed
        self._pause_seconds = pause_seconds
        self._jobs: list[tuple[Callable[[random.Random], None], int]] = [(self._write, writers), (self._ask, askers)]
        self._stop = threading.Event()
        self._times = 0
        self._lock = threading.Lock()
        self.acknowledged: dict[Key, str] = {}
        """The text of each document that was acknowledged and that nobody has touched since."""
        self.deleted: set[Key] = set()
        """Documents whose deletion was acknowledged."""
        self.doubtful: set[Key] = set()
        """Documents of calls that got no answer: either way is right."""
        self.silent: list[str] = []
        """Answers that said something untrue instead of an error."""
        self.outcomes: Counter[str] = Counter()
        self._seeded: list[Key] = []

    def seed(self, documents_per_collection: int) -> None:
        """Writes what the askers look for, while nothing breaks yet."""
        for collection in self._collections:
            documents = [
                {"id": f"base-{part}", "text": f"The {_TOPICS[part % len(_TOPICS)]} of {collection} has number {part}."}
                for part in range(documents_per_collection)
            ]
            wait_until(partial(self._is_stored, documents, collection), f"documents in {collection}", PATIENCE_SECONDS)
            for document in documents:
                self.acknowledged[collection, document["id"]] = document["text"]
                self._seeded.append((collection, document["id"]))

    def _is_stored(self, documents: list[dict[str, str]], collection: str) -> bool:
        response = self._stack.http.post("/v1/documents", json={"documents": documents, "collection": collection})
        assert response.status_code in (200, 429, 503), response.text
        return response.status_code == 200 and all(
            one["status"] in ("indexed", "updated", "unchanged") for one in response.json()["documents"]
        )

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Writes and asks while the block runs; each time with other ids."""
        self._stop.clear()
        self._times += 1
        threads = []
        for job, count in self._jobs:
            for number in range(count):
                chance = random.Random(f"{self._seed} {self._times} {job.__name__} {number}")
                threads.append(threading.Thread(target=self._repeat, args=(job, chance)))
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(PATIENCE_SECONDS)

    def wait_for_writes(self, count: int) -> None:
        """Waits until that many further documents were acknowledged."""
        goal = len(self.acknowledged) + count
        wait_until(lambda: len(self.acknowledged) >= goal, f"{count} acknowledged documents", PATIENCE_SECONDS)

    def losses(self) -> tuple[list[Key], list[Key]]:
        """What was acknowledged and is not there, and what is there though its deletion was acknowledged."""
        stored = {(name, document) for name in self._collections for document in list_documents(self._stack, name)}
        return sorted(set(self.acknowledged) - stored), sorted(self.deleted & stored)

    def assert_documents_are_as_they_were_sent(self) -> None:
        """Compares the texts of some of those that were acknowledged."""
        sample = random.Random(self._seed).sample(sorted(self.acknowledged), min(50, len(self.acknowledged)))
        for collection, document in sample:
            body = self._stack.http.get(f"/v1/documents/{document}", params={"collection": collection}).json()
            assert body.get("text") == self.acknowledged[collection, document], body

    def _repeat(self, job: Callable[[random.Random], None], chance: random.Random) -> None:
        while not self._stop.is_set():
            try:
                job(chance)
                self._stop.wait(self._pause_seconds)
            except httpx.TransportError as error:
                self._count(type(error).__name__)
                self._stop.wait(0.05)

    def _write(self, chance: random.Random) -> None:
        collection = chance.choice(self._collections)
        if chance.random() < 0.1:
            self._delete_one(collection, chance)
            return
        documents = [
            {"id": f"w-{chance.getrandbits(48):x}", "text": f"The {chance.choice(_TOPICS)} weighs {chance.random()}."}
            for _ in range(chance.randint(1, 6))
        ]
        keys = [(collection, document["id"]) for document in documents]
        with self._lock:
            self.doubtful.update(keys)
        response = self._stack.http.post("/v1/documents", json={"documents": documents, "collection": collection})
        self._judge("write", collection, response)
        if response.status_code == 200:
            with self._lock:
                for key, document, result in zip(keys, documents, response.json()["documents"], strict=True):
                    if result["status"] != "failed":
                        self.acknowledged[key] = document["text"]
                        self.doubtful.discard(key)

    def _delete_one(self, collection: str, chance: random.Random) -> None:
        with self._lock:
            mine = [key for key in self.acknowledged if key[0] == collection and key[1].startswith("w-")]
            if not mine:
                return
            key = chance.choice(mine)
            del self.acknowledged[key]
            self.doubtful.add(key)
        response = self._stack.http.delete(f"/v1/documents/{key[1]}", params={"collection": collection})
        self._judge("delete", collection, response)
        if response.status_code == 200:
            with self._lock:
                self.deleted.add(key)

    def _ask(self, chance: random.Random) -> None:
        collection, document = chance.choice(self._seeded)
        if chance.random() < 0.2:
            response = self._stack.http.get(f"/v1/documents/{document}", params={"collection": collection})
            self._judge("get", collection, response)
            return
        query = {"query": self.acknowledged[collection, document], "collection": collection, "rerank": False}
        response = self._stack.http.post("/v1/retrieve", json=query)
        self._judge("ask", collection, response)
        if response.status_code == 200 and not response.json()["passages"]:
            self.silent.append(f"{collection} has documents, and a question found none: {response.json()}")

    def _judge(self, call: str, collection: str, response: httpx.Response) -> None:
        self._count(f"{call} {response.status_code}")
        if response.status_code in (404, 500):
            self.silent.append(f"{call} in {collection}: {response.status_code} {_reason(response)}")

    def _count(self, outcome: str) -> None:
        with self._lock:
            self.outcomes[outcome] += 1


def list_documents(stack: Stack, collection: str) -> dict[str, dict[str, Any]]:
    """All documents of a collection by their ids."""
    found: dict[str, dict[str, Any]] = {}
    token = ""
    while True:
        parameters: dict[str, str | int] = {"collection": collection, "page_size": 1000, "page_token": token}
        response = stack.http.get("/v1/documents", params=parameters)
        response.raise_for_status()
        body = response.json()
        found |= {document["id"]: document for document in body["documents"]}
        token = body["next_page_token"]
        if not token:
            return found


def _reason(response: httpx.Response) -> str:
    error = response.json().get("error", {})
    return f"{error.get('reason')}: {error.get('message')}"


def further_gateway(stack: Stack, folder: Path) -> Stack:
    """One more gateway before the services of a stack, not started yet, with a data folder of its own."""
    wanted = ("EMBED_TARGET", "RERANK_TARGET", "GENERATE_TARGET", "QDRANT_URL", "QDRANT_GRPC_PORT")
    return Stack(folder, {name: stack.environ[name] for name in (f"TRIVIUM_GATEWAY_{one}" for one in wanted)})
