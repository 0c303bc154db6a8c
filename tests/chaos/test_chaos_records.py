"""A gateway killed while it writes what it keeps by itself: keys, quotas and usage, feedback, and jobs."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from e2e.stack import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chaos.conftest import Scale
    from e2e.stack import Stack

_WRITERS = 4
_TRIED = 40
"""So many keys are tried at the end, of those that hold and of those that were revoked."""


class _Records:
    """Clients that have a gateway keep things, and what it said that it had.

    Args:
        stack: With a gateway.
        seed: Of what they choose.
    """

    def __init__(self, stack: Stack, seed: int) -> None:
        self._stack = stack
        self._seed = seed
        self._lock = threading.Lock()
        self._stop = threading.Event()
        first = (stack.folder / "data" / "gateway" / "first-key").read_text().strip()
        self._may_all = {"Authorization": f"Bearer {first}"}
        self.keys: dict[str, str] = {}
        """Keys that were made and not touched since, by id."""
        self.revoked: dict[str, str] = {}
        self.feedback: dict[str, str] = {}
        self.removed: set[str] = set()
        self.jobs: dict[str, int] = {}
        self.quotas: dict[str, str] = {}
        self.reported_requests = 0
        self.sent = 0
        self.outcomes: Counter[str] = Counter()
        self.problems: list[str] = []
        """Answers that nobody should get, whatever was killed."""
        self._changes: list[Callable[[random.Random], None]] = [
            self.make_key,
            self._rotate_key,
            self._revoke_key,
            self.give_feedback,
            self._remove_feedback,
            self.add_job,
            self.set_quota,
            self._read_usage,
        ]

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Changes things without pause while the block runs."""
        threads = [threading.Thread(target=self._change, args=(number,)) for number in range(_WRITERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(120)

    def make_key(self, chance: random.Random) -> None:
        """Makes a key."""
        body = {"name": f"k{chance.getrandbits(32)}", "scopes": ["ingest"]}
        if made := self._call("POST", "/v1/keys", json=body):
            self.keys[made["id"]] = made["key"]

    def give_feedback(self, chance: random.Random) -> None:
        """Says something of an answer."""
        about, comment = f"r{chance.getrandbits(48):x}", f"c{chance.getrandbits(48):x}"
        body = {"request_id": about, "rating": 1, "question": "What is it?", "comment": comment}
        if self._call("POST", "/v1/feedback", json=body):
            self.feedback[about] = comment

    def add_job(self, chance: random.Random) -> None:
        """Leaves documents with the gateway."""
        documents = [
            {"id": f"d{number}", "text": f"It is {chance.random()}."} for number in range(chance.randint(1, 9))
        ]
        if job := self._call("POST", "/v1/documents", json={"documents": documents, "wait": False}):
            self.jobs[job["job"]] = len(documents)

    def set_quota(self, chance: random.Random) -> None:
        """Says what a tenant may use."""
        tenant, limit = f"t{chance.getrandbits(48):x}", f"{chance.randint(1, 9999)}/h"
        if self._call("PUT", "/v1/quotas", json={"tenant": tenant, "limits": {"requests": limit}}):
            self.quotas[tenant] = limit

    def assert_nothing_lost(self) -> None:
        """Compares what was acknowledged with what is there now."""
        keys = {one["id"] for one in self._read("/v1/keys")["keys"]}
        assert self.keys.keys() <= keys, f"lost: {self.keys.keys() - keys}"
        assert not self.revoked.keys() & keys
        chance = random.Random(self._seed)
        for texts, status in ((self.keys, 200), (self.revoked, 401)):
            for key in chance.sample(sorted(texts), min(len(texts), _TRIED)):
                asked = self._stack.http.get("/v1/jobs", headers={"Authorization": f"Bearer {texts[key]}"})
                assert asked.status_code == status, (key, asked.text)
        feedback = {one["request_id"]: one["comment"] for one in self._all_feedback()}
        assert self.feedback.items() <= feedback.items()
        assert not self.removed & feedback.keys()
        quotas = {one["tenant"]: one["limits"].get("requests") for one in self._read("/v1/quotas")["quotas"]}
        assert self.quotas.items() <= quotas.items()
        for job, total in self.jobs.items():
            assert self._read(f"/v1/jobs/{job}")["total"] == total
        assert self.reported_requests <= _requests(self._read("/v1/usage")) <= self.sent
        assert not self.problems, self.problems[:5]

    def _change(self, number: int) -> None:
        chance = random.Random(f"{self._seed} {number}")
        while not self._stop.is_set():
            try:
                chance.choice(self._changes)(chance)
            except httpx.TransportError as error:
                self.outcomes[type(error).__name__] += 1
                self._stop.wait(0.1)

    def _rotate_key(self, chance: random.Random) -> None:
        with self._taken(self.keys, chance) as (key, _):
            if key and (made := self._call("POST", f"/v1/keys/{key}/rotate", json={"grace_seconds": 0})):
                self.keys[key] = made["key"]

    def _revoke_key(self, chance: random.Random) -> None:
        with self._taken(self.keys, chance) as (key, text):
            if key and self._call("DELETE", f"/v1/keys/{key}"):
                self.revoked[key] = text

    def _remove_feedback(self, chance: random.Random) -> None:
        with self._taken(self.feedback, chance) as (about, _):
            if about and self._call("DELETE", f"/v1/feedback/{about}"):
                self.removed.add(about)

    def _read_usage(self, _: random.Random) -> None:
        if usage := self._call("GET", "/v1/usage"):
            with self._lock:
                self.reported_requests = max(self.reported_requests, _requests(usage))

    @contextlib.contextmanager
    def _taken(self, known: dict[str, str], chance: random.Random) -> Iterator[tuple[str, str]]:
        """Takes one that is about to be changed: until that is acknowledged, nobody knows what it is."""
        with self._lock:
            name = chance.choice(sorted(known)) if known else ""
            what = known.pop(name, "")
        try:
            yield name, what
        except httpx.ConnectError:  # nobody was there to be asked
            if name:
                known[name] = what
            raise

    def _all_feedback(self) -> Iterator[dict[str, Any]]:
        token = ""
        while True:
            page = self._read(f"/v1/feedback?page_size=1000&page_token={token}")
            yield from page["feedback"]
            token = page["next_page_token"] or ""
            if not token:
                return

    def _read(self, path: str) -> dict[str, Any]:
        shown = self._call("GET", path)
        assert shown is not None, path
        return shown

    def _call(self, method: str, path: str, **what: Any) -> dict[str, Any] | None:
        """What the gateway says, if it did what it was asked."""
        with self._lock:
            self.sent += 1
        response = self._stack.http.request(method, path, headers=self._may_all, **what)
        with self._lock:
            self.outcomes[f"{method} {response.status_code}"] += 1
        if response.status_code not in (200, 201, 202, 429, 503):
            self.problems.append(f"{method} {path}: {response.status_code} {response.text[:200]}")
        said: dict[str, Any] = response.json()
        return said if response.is_success else None


def _requests(usage: dict[str, Any]) -> int:
    return sum(one["requests"] for one in usage["usage"])


def _is_served(stack: Stack) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return stack.http.get("/healthz").status_code == 200
    return False


@pytest.mark.timeout(900)
@pytest.mark.parametrize("count", [1, 50, 200])
def test_gateway_killed_while_it_writes_keeps_all_keys_quotas_feedback_and_jobs_that_it_acknowledged(
    make_stack: Callable[..., Stack], chance: random.Random, scale: Scale, seen: Callable[[str], None], count: int
) -> None:
    stack = make_stack(TRIVIUM_GATEWAY_AUTH="keys")
    stack.start("gateway")
    wait_until(lambda: _is_served(stack), "gateway", 120)
    records = _Records(stack, chance.getrandbits(32))
    for _ in range(count):
        for change in (records.make_key, records.give_feedback, records.add_job, records.set_quota):
            change(chance)

    kills = scale.pick(2, 20)
    with records.changing():
        for _ in range(kills):
            time.sleep(chance.uniform(0, 2))  # the moment is what is tried
            stack.end("gateway")
            stack.start("gateway")
            wait_until(lambda: _is_served(stack), "gateway that was started again", 120)
    records.assert_nothing_lost()
    seen(
        f"{count} of each before {kills} kills: {len(records.keys)} keys, {len(records.feedback)} pieces of feedback, "
        f"{len(records.quotas)} quotas and {len(records.jobs)} jobs kept, {len(records.revoked)} keys and "
        f"{len(records.removed)} pieces of feedback gone for good, {records.reported_requests} requests counted; "
        f"{dict(records.outcomes)}"
    )
