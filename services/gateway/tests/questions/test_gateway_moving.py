"""All that is in one Qdrant moved to another by `trivium move`: the gateway before the other answers the same."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from qdrant_client import grpc as qdrant_grpc
from trivium_client import FailedPrecondition
from trivium_client.moving.engine import Engine
from trivium_client.moving.running import move
from trivium_client.moving.snapshot import Snapshot

from .conftest import DOCUMENTS, Qdrant, Stack, _qdrant, running_stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.asyncio(loop_scope="module")

_MANY = [
    {"id": f"d{number}", "text": f"Depot {number} keeps {number * 3} barrels.", "metadata": {"number": number}}
    for number in range(300)
]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Qdrant]:
    """An empty Qdrant."""
    yield from _qdrant(tmp_path_factory.mktemp("other"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(own_qdrant: Qdrant) -> AsyncIterator[Stack]:
    """A gateway with a collection that has documents, settings, and one for few."""
    async with running_stack(own_qdrant) as running:
        await running.create_collection()
        await running.add(*DOCUMENTS, *_MANY, {"id": "secret", "text": "The vault opens.", "readers": ["group:hr"]})
        await running.http.patch(f"/v1/collections/{running.collection}", json={"settings": {"candidates": 50}})
        yield running


def _url(qdrant: Qdrant) -> str:
    return f"http://127.0.0.1:{qdrant.port}"


async def _move(source: Qdrant, target: Qdrant, *options: str) -> tuple[int, str, str]:
    return await _moved(_url(source), _url(target), *options)


async def _moved(*arguments: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "trivium_client.cli.app", "move", *arguments]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


async def _seen(stack: Stack, name: str) -> dict[str, Any]:
    described = (await stack.http.get(f"/v1/collections/{name}")).json()
    listed = (await stack.http.get("/v1/documents", params={"collection": name, "page_size": 1000})).json()
    body = {"query": "How many barrels does depot 77 keep?", "collection": name, "filter": {"metadata.number": 77}}
    found = (await stack.http.post("/v1/retrieve", json=body)).json()["passages"]
    answer = (await stack.http.post("/v1/answer", json={"question": "What do herons eat?", "collection": name})).json()
    return {
        "described": described,
        "documents": listed["documents"],
        "found": [(one["id"], one["text"], round(one["score"], 5)) for one in found],
        "answer": answer["answer"],
    }


async def test_gateway_before_the_other_engine_answers_the_same_and_a_second_move_writes_nothing(
    stack: Stack, own_qdrant: Qdrant, other: Qdrant
) -> None:
    before = await _seen(stack, stack.collection)

    status, printed, errors = await _move(own_qdrant, other, "--json")
    again = await _move(own_qdrant, other, "--json")

    assert status == 0, errors
    (moved,) = json.loads(printed)["collections"]
    assert (moved["points"], moved["written"]) == (len(DOCUMENTS) + len(_MANY) + 1,) * 2
    assert json.loads(again[1])["collections"] == [{**moved, "written": 0}]
    async with running_stack(other) as elsewhere:
        assert await _seen(elsewhere, stack.collection) == before
        assert before["found"]


async def test_snapshot_in_a_file_brings_all_back_and_what_is_not_whole_is_refused(
    stack: Stack, own_qdrant: Qdrant, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before = await _seen(stack, stack.collection)
    folder = tmp_path_factory.mktemp("snapshot")
    broken, whole = str(folder / "broken.snapshot"), str(folder / "monday.snapshot")

    class Ended(Exception):
        pass

    def end(*_: object) -> None:
        raise Ended

    with pytest.raises(Ended), closing(Snapshot(Path(broken), is_new=True)) as file:
        await asyncio.to_thread(move, Engine(_url(own_qdrant)), file, [], end)
    status, _, errors = await _moved(broken, _url(own_qdrant))
    assert (status, "run the command again that wrote it" in errors) == (6, True), errors
    for name in (whole, broken):
        assert (await _moved(_url(own_qdrant), name))[0] == 0

    for target in _qdrant(tmp_path_factory.mktemp("restored")):
        status, printed, errors = await _moved(broken, _url(target), "--json")
        assert status == 0, errors
        assert json.loads(printed)["collections"][0]["written"] == len(DOCUMENTS) + len(_MANY) + 1
        assert json.loads((await _moved(whole, _url(target), "--json"))[1])["collections"][0]["written"] == 0
        async with running_stack(target) as elsewhere:
            assert await _seen(elsewhere, stack.collection) == before


async def test_file_that_is_no_snapshot_is_told(tmp_path_factory: pytest.TempPathFactory, own_qdrant: Qdrant) -> None:
    other = tmp_path_factory.mktemp("files") / "other.snapshot"
    other.write_bytes(b"ustar, as of a server")

    for arguments in ((str(other), _url(own_qdrant)), (_url(own_qdrant), str(other))):
        status, _, errors = await _moved(*arguments)
        assert (status, "cannot be used" in errors) == (6, True), errors
    assert other.read_bytes() == b"ustar, as of a server"


async def test_move_that_was_ended_goes_on_when_it_is_run_again(
    stack: Stack, own_qdrant: Qdrant, tmp_path_factory: pytest.TempPathFactory
) -> None:
    class Ended(Exception):
        pass

    def end(_name: str, done: int, _total: int) -> None:
        if done > 128:
            raise Ended

    for target in _qdrant(tmp_path_factory.mktemp("ended")):
        read, write = Engine(_url(own_qdrant)), Engine(_url(target))
        with pytest.raises(Ended):
            await asyncio.to_thread(move, read, write, [], end)
        assert write.aliases() == {}  # nothing that is not whole is shown

        (moved,) = await asyncio.to_thread(move, read, write, [], lambda *_: None)

        assert 0 < moved.written < moved.points
        assert write.aliases() == read.aliases()


async def test_move_waits_while_the_target_restarts(
    stack: Stack, own_qdrant: Qdrant, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for target in _qdrant(tmp_path_factory.mktemp("restarted")):
        killed: list[int] = []

        def kill_once(_name: str, done: int, _total: int, target: Qdrant = target, killed: list[int] = killed) -> None:
            if done > 128 and not killed:
                killed.append(done)
                target.kill()
                target.start()

        moved = await asyncio.to_thread(move, Engine(_url(own_qdrant)), Engine(_url(target)), [], kill_once)

        assert killed
        assert [one.points for one in moved] == [len(DOCUMENTS) + len(_MANY) + 1]


async def test_what_differs_afterwards_is_said(
    stack: Stack, own_qdrant: Qdrant, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for target in _qdrant(tmp_path_factory.mktemp("more")):
        read, write = Engine(_url(own_qdrant)), Engine(_url(target))
        (moved,) = await asyncio.to_thread(move, read, write, [], lambda *_: None)
        (point, *_), _ = read.page(moved.name, None, 1)
        point.id.CopyFrom(qdrant_grpc.PointId(uuid="00000000-0000-4000-8000-000000000001"))
        write.write(moved.name, [point])

        with pytest.raises(FailedPrecondition, match="run it again") as refused:
            await asyncio.to_thread(move, read, write, [], lambda *_: None)

        assert refused.value.reason == "MOVE_DIFFERS"


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["nonsense", "http://127.0.0.1:1"], 6, "write http://HOST:PORT"),
        (["http://127.0.0.1:1", "http://127.0.0.1:2"], 4, "cannot be reached"),
    ],
)
async def test_address_that_is_none_is_told_at_once(arguments: list[str], status: int, says: str) -> None:
    command = [sys.executable, "-m", "trivium_client.cli.app", "move", *arguments]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)

    assert done.returncode == status, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


async def test_collection_that_is_not_there_is_told(stack: Stack, own_qdrant: Qdrant, other: Qdrant) -> None:
    status, _, errors = await _move(own_qdrant, other, "--collection", "no-such")

    assert (status, "no-such" in errors) == (6, True), errors
