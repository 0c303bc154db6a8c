"""Queries that demand something word for word: quoted phrases occur, and what a hyphen excludes does not."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from trivium_gateway.library import demands
from trivium_gateway.library.demands import search_as_demanded
from trivium_gateway.library.documents import NewDocument
from trivium_gateway.qdrant.words import asked_words
from trivium_lexical import parse_query

from .conftest import WHOLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trivium_gateway.library.resolved import ResolvedCollection

    from .conftest import OpenStorage, Storage

_DOCUMENTS = {
    "opens": "The relief valve opens at nine bar.",
    "pump": "The pump has a relief valve made of steel.",
    "apart": "The valve of the pump gives relief.",
    "plural": "Relief valves are tested each year.",
    "title": "It is tested each year.",
    **{f"other{number}": f"Pump number {number} runs on diesel." for number in range(40)},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def valves(open_storage: OpenStorage) -> AsyncIterator[tuple[Storage, ResolvedCollection]]:
    """A collection about valves and pumps."""
    async with open_storage() as storage:
        await storage.collections.create("valves", reader=WHOLE)
        collection = await storage.collections.resolve("valves", tenant="default")
        documents = [
            NewDocument(id=one, text=text, title="The Relief Valve" if one == "title" else "")
            for one, text in _DOCUMENTS.items()
        ]
        assert not any(result.error for result in await storage.ingest(*documents, collection=collection))
        yield storage, collection
        await storage.collections.delete("valves", tenant="default")


async def _found(valves: tuple[Storage, ResolvedCollection], query: str, limit: int = 10) -> list[str]:
    storage, collection = valves
    parsed = parse_query(query)
    embedded = await storage.embed.embed_query(
        parsed.text, reader=WHOLE, expected_fingerprint=collection.made.fingerprint, timeout_seconds=10
    )
    found = await search_as_demanded(
        storage.chunk_search, collection, parsed, vector=embedded.vector, filter=None, limit=limit, timeout_seconds=20,
        reader=WHOLE,
    )  # fmt: skip
    return [one.chunk.document_id for one in found.candidates]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('"relief valve" pressure', {"opens", "pump", "title"}),
        ('"RELIEF  VALVE"', {"opens", "pump", "title"}),
        ('"relief valve" -pump', {"opens", "title"}),
        ('"relief valve" "made of steel"', {"pump"}),
        ('when does it open "nine bar"', {"opens"}),
        ('relief valve -"relief valve" -diesel', {"apart", "plural"}),
        ('"valve relief"', set()),
        ('"zeppelin"', set()),
    ],
)
async def test_query_finds_what_has_its_phrases_and_not_its_exclusions(
    valves: tuple[Storage, ResolvedCollection], query: str, expected: set[str]
) -> None:
    assert set(await _found(valves, query)) == expected


@pytest.mark.asyncio(loop_scope="module")
async def test_passages_are_held_to_demands_beside_the_event_loop(
    valves: tuple[Storage, ResolvedCollection], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: dict[str, set[int]] = {}

    def noted(name: str, work: Any) -> Any:
        def run(*arguments: Any) -> Any:
            threads.setdefault(name, set()).add(threading.get_ident())
            return work(*arguments)

        return run

    monkeypatch.setattr(type(parse_query("")), "allows", noted("allows", type(parse_query("")).allows))
    monkeypatch.setattr("trivium_gateway.library.search.asked_words", noted("words", asked_words))

    assert set(await _found(valves, '"relief valve" -pump')) == {"opens", "title"}
    assert set(threads) == {"allows", "words"}
    assert threading.get_ident() not in threads["allows"] | threads["words"]  # on which everybody else would wait


@pytest.mark.asyncio(loop_scope="module")
async def test_exclusion_of_what_most_chunks_have_leaves_the_rest(
    valves: tuple[Storage, ResolvedCollection],
) -> None:
    assert set(await _found(valves, "pump that runs on diesel -diesel", limit=5)) == {
        "opens", "pump", "apart", "plural", "title",
    }  # fmt: skip


@pytest.mark.asyncio(loop_scope="module")
async def test_phrase_is_found_beyond_the_chunks_that_have_more_of_its_words(
    valves: tuple[Storage, ResolvedCollection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demands, "_MOST_CHUNKS", 10)

    assert await _found(valves, '"pump number 33 runs"', limit=5) == ["other33"]
