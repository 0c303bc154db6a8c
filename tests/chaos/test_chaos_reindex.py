"""All that changes a collection's model is killed at any moment, under writers, deleters and askers: it ends right.

The collection begins with the first 128 numbers of each vector and gets all 384, or the other way round with 8 where
the new index has to find less. What the command says in the end, and with which status, is what the collection is.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from chaos.witness import PATIENCE_SECONDS, Witness, create_collections, list_documents
from e2e.stack import Stack, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chaos.conftest import Scale

_TRIVIUM = (sys.executable, "-m", "trivium_client.cli.app")
_PARTS = ("qdrant_edge", "embed", "new", "gateway")
"""What may be killed while a model is changed; `new` is the embed service of the other model."""
_COLLECTION = "c001"
_COMMAND_SECONDS = 900.0
_FULL, _CUT, _POOR = 384, 128, 8
_THINGS = (
    "anchor apple bridge candle carpet castle cello cheese clock cloud compass copper cotton crane "
    "desert diamond donkey drum engine feather ferry flute forest garden ginger glacier guitar hammer "
    "harbour honey island ivory kettle ladder lantern lemon lizard marble meadow mirror monkey needle "
    "ocean orchard parrot pepper piano pigeon rabbit ribbon river saddle salmon shovel silver spider "
    "temple thunder tunnel violin walnut whale window"
)
_LISTS, _LISTED = 120, 9
_HELD = 1
_AWAY = (3, 4, -signal.SIGKILL)
"""The gateway, or what is behind it, was away when the command began, or it was killed itself: it is run again."""


class Change:
    """A stack with two embed services, whose processes and commands can be killed.

    Args:
        stack: The stack.
        new: Has the second embed service alone.
        chance: Chooses moments.
    """

    def __init__(self, stack: Stack, new: Stack, chance: random.Random) -> None:
        self.stack = stack
        self._new = new
        self._chance = chance
        self._command: subprocess.Popen[str] | None = None
        self.killed: list[str] = []

    def serves(self) -> bool:
        """Whether both models and the search work."""
        stages = self.stack.stages()
        return all(stages.get(stage, False) for stage in ("search", "embed", "embed.new"))

    def kill(self, part: str) -> None:
        """Kills a process, and starts it again at once, but for the command, which its caller does."""
        self.killed.append(part)
        if part == "command":
            if self._command is not None:
                self._command.kill()
            return
        stack, service = (self._new, "embed") if part == "new" else (self.stack, part)
        stack.end(service, by=self._chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)))
        stack.start(service)

    def state(self) -> tuple[int, str]:
        """Numbers per vector of the index that answers, and the role of the other one; empty if there is none.

        A gateway that has just lost its engine, and has not noticed, is asked again.
        """
        seen: list[tuple[int, str]] = []

        def is_described() -> bool:
            if state := self._seen():
                seen.append(state)
            return bool(seen)

        wait_until(is_described, "collection that is described", PATIENCE_SECONDS)
        return seen[0]

    def run(self, options: Sequence[str], kills: Sequence[str]) -> tuple[int, str, str]:
        """Runs `trivium reindex` while things are killed, and again where it ends because of that.

        Args:
            options: Of the command.
            kills: What to kill, one after the other.

        Returns:
            Its exit status, and what it printed.
        """
        breaking = threading.Thread(target=self._break, args=(kills,))
        breaking.start()
        end = time.monotonic() + _COMMAND_SECONDS
        try:
            while True:
                command = [*_TRIVIUM, "reindex", _COLLECTION, "--json", "--gateway", self._gateway, *options]
                self._command = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                output, errors = self._command.communicate(timeout=_COMMAND_SECONDS)
                status = self._command.returncode
                if status not in _AWAY:
                    return status, output, errors
                assert time.monotonic() < end, (status, output, errors)
                time.sleep(0.5)
        finally:
            self._command = None
            breaking.join(_COMMAND_SECONDS)

    @property
    def _gateway(self) -> str:
        return f"127.0.0.1:{self.stack.grpc_port}"

    def _break(self, kills: Sequence[str]) -> None:
        """Kills at moments by chance, or as soon as the collection has come to the next step."""
        before = self._seen()
        for part in kills:
            until = time.monotonic() + self._chance.uniform(0.3, 6)
            while time.monotonic() < until:
                now = self._seen()
                if now != before and now is not None:
                    before = now
                    break
                time.sleep(0.02)
            self.kill(part)

    def _seen(self) -> tuple[int, str] | None:
        try:
            described = self.stack.http.get(f"/v1/collections/{_COLLECTION}").raise_for_status().json()
        except httpx.HTTPError:  # nobody there, or no answer but an error
            return None
        beside = described["index_beside"]
        return described["dimension"], beside["role"] if beside else ""


@pytest.fixture
def make_change(make_stack: Callable[..., Stack], chance: random.Random) -> Callable[[int, int], Change]:
    """Makes stacks with two embed services, given their numbers per vector."""

    def make(first: int, second: int) -> Change:
        new = make_stack(TRIVIUM_EMBED_DIMENSION=str(second), TRIVIUM_EMBED_LEAST_DIMENSION=str(_POOR))
        stack = make_stack(
            TRIVIUM_EMBED_DIMENSION=str(first),
            TRIVIUM_EMBED_LEAST_DIMENSION=str(_POOR),
            TRIVIUM_GATEWAY_EMBED_TARGETS=f"new={new.environ['TRIVIUM_EMBED_LISTEN']}",
        )
        new.start("embed")
        stack.start("qdrant_edge", "embed", "gateway")
        change = Change(stack, new, chance)
        wait_until(change.serves, "stack with two models", PATIENCE_SECONDS)
        return change

    return make


def _add_lists(change: Change) -> None:
    """Adds documents that short vectors hardly tell apart; the questions of the comparison are made of them."""
    lists = [random.Random(number).sample(_THINGS.split(), _LISTED) for number in range(_LISTS)]
    documents = [
        {"id": f"list-{number}", "text": f"The inventory of the house lists {' and '.join(things)}."}
        for number, things in enumerate(lists)
    ]
    added = change.stack.ingest(*documents, collection=_COLLECTION)
    assert {one["status"] for one in added} == {"indexed"}, added


def _kills(chance: random.Random, scale: Scale, *more: str) -> list[str]:
    """Each part once, in any order; in the short form some of them."""
    parts = (*_PARTS, *more)
    return chance.sample(parts, scale.pick(2 + len(more), len(parts)))


def _assert_all_is_there(change: Change, witness: Witness) -> None:
    """What was acknowledged is there once, what was deleted is not, and all of it is found by its vector."""
    wait_until(change.serves, "stack that serves", PATIENCE_SECONDS)
    lost, returned = witness.losses()
    assert not witness.silent, witness.silent[:5]
    assert not lost, lost[:5]
    assert not returned, returned[:5]
    witness.assert_documents_are_as_they_were_sent()
    stored = list_documents(change.stack, _COLLECTION)
    described = change.stack.http.get(f"/v1/collections/{_COLLECTION}").json()
    assert described["chunk_count"] == len(stored)  # each document is one piece, in one version
    for (collection, document), text in sorted(witness.acknowledged.items())[::25]:
        query = {"query": text, "collection": collection, "rerank": False, "top_n": 20, "candidates": 200}
        answer: dict[str, Any] = {}

        def is_whole(query: dict[str, Any] = query, answer: dict[str, Any] = answer) -> bool:
            answer.update(change.stack.http.post("/v1/retrieve", json=query).json())
            return bool(answer.get("degraded") == [])  # a service that was just started loads its model

        wait_until(is_whole, "search by vectors", PATIENCE_SECONDS)
        assert document in [one["document_id"] for one in answer["passages"]], text


@pytest.mark.timeout(3600)
def test_model_changed_and_changed_back_while_everything_is_killed_ends_right(
    make_change: Callable[[int, int], Change], scale: Scale, chance: random.Random, seen: Callable[[str], None]
) -> None:
    change = make_change(_CUT, _FULL)
    create_collections(change.stack, 2)
    witness = Witness(change.stack, [_COLLECTION], seed=chance.getrandbits(32), writers=2, askers=1)
    witness.seed(20)
    _add_lists(change)
    times = scale.pick(1, 8)
    for _ in range(times):
        with witness.running():
            status, output, errors = change.run(["--model", "new"], _kills(chance, scale, "command"))
        wait_until(change.serves, "stack that serves", PATIENCE_SECONDS)
        assert (status, change.state()) == (0, (_FULL, "previous")), (output, errors)
        assert not json.loads(output)["held"]
        assert json.loads(output)["comparison"]["made_count"] > 0
        _assert_all_is_there(change, witness)

        with witness.running():
            status, output, errors = change.run(["--rollback"], _kills(chance, scale))
        wait_until(change.serves, "stack that serves", PATIENCE_SECONDS)
        assert (status, change.state()) == (0, (_CUT, "")), (output, errors)
        assert "answers again" in errors
        _assert_all_is_there(change, witness)

    seen(
        f"{2 * times} changes, {len(change.killed)} processes killed; {len(witness.acknowledged)} documents "
        f"acknowledged, 0 lost; {len(witness.deleted)} deleted, 0 undone; {dict(sorted(witness.outcomes.items()))}"
    )


@pytest.mark.timeout(3600)
def test_model_that_finds_less_does_not_answer_whatever_is_killed(
    make_change: Callable[[int, int], Change], scale: Scale, chance: random.Random, seen: Callable[[str], None]
) -> None:
    change = make_change(_FULL, _POOR)
    create_collections(change.stack, 2)
    by_vectors_alone = {"settings": {"sparse_weight": 0.0}}  # words would find the same in both
    change.stack.http.patch(f"/v1/collections/{_COLLECTION}", json=by_vectors_alone).raise_for_status()
    witness = Witness(change.stack, [_COLLECTION], seed=chance.getrandbits(32), writers=1, askers=1)
    witness.seed(20)
    _add_lists(change)
    times = scale.pick(1, 8)
    for _ in range(times):
        with witness.running():
            status, output, errors = change.run(["--model", "new"], _kills(chance, scale, "command"))
        wait_until(change.serves, "stack that serves", PATIENCE_SECONDS)
        assert (status, change.state()) == (_HELD, (_FULL, "next")), (output, errors)
        found = json.loads(output)
        assert found["held"]
        assert found["comparison"]["high"] < 0
        _assert_all_is_there(change, witness)

        status, output, errors = change.run(["--discard-old"], _kills(chance, scale))
        wait_until(change.serves, "stack that serves", PATIENCE_SECONDS)
        assert (status, change.state()) == (0, (_FULL, "")), (output, errors)
        assert json.loads(output)["discarded"]
        _assert_all_is_there(change, witness)

    seen(
        f"{times} changes held and discarded, {len(change.killed)} processes killed; {len(witness.acknowledged)} "
        f"documents acknowledged, 0 lost; {len(witness.deleted)} deleted, 0 undone; "
        f"{dict(sorted(witness.outcomes.items()))}"
    )
