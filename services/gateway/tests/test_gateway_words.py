"""The search by words alone: identifiers, numbers and scripts that a search by meaning cannot tell apart."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
import pytest_asyncio
from trivium_gateway.domain.chunks import Chunk
from trivium_gateway.library.documents import NewDocument
from trivium_gateway.library.versions import new_version
from trivium_gateway.qdrant.points import EmbeddedChunk, point_of
from trivium_gateway.qdrant.words import stored_words

from .conftest import WHOLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from trivium_gateway.library.candidates import Candidate
    from trivium_gateway.library.resolved import ResolvedCollection

    from .conftest import OpenStorage, Storage

_PARTS = ("cover", "cable gland", "inlet filter", "control board", "pump housing", "alarm horn", "label", "drain valve")
_CHANGES = ("becomes grey", "is moved to the left side", "gets a new gasket", "receives a second coat of varnish")
_PLANTS = ("Turin", "Lyon", "Graz", "Leeds", "Malmo")


def _some(draw: random.Random, make: str) -> str:
    digits = [draw.randrange(10) for _ in range(8)]
    return {
        "hyphen": "PPR-{}{}{}{}", "glued": "PPR{}{}{}{}{}", "year": "fiscal {}{}{}{}", "version": "v{}.{}{}.{}{}",
        "date": "20{}{}-{}{}-{}{}", "slash": "E{}/{}{}{}{}", "address": "10.{}{}.{}.{}{}",
    }[make].format(*digits)  # fmt: skip


@pytest.fixture(scope="module")
def ids() -> list[str]:
    draw = random.Random(13)
    kinds = ("hyphen", "glued", "year", "version", "date", "slash", "address")
    made: dict[str, None] = {}
    while len(made) < 1000:
        made.setdefault(_some(draw, kinds[len(made) % len(kinds)]))
    return list(made)


@pytest_asyncio.fixture
async def thousand(open_storage: OpenStorage, ids: list[str]) -> AsyncIterator[tuple[Storage, ResolvedCollection]]:
    """A collection of a thousand documents with made-up ids, without vectors that mean anything."""
    async with open_storage() as storage:
        await storage.collections.create("changes", reader=WHOLE)
        collection = await storage.collections.resolve("changes", tenant="default")
        draw, points = random.Random(1), []
        for one in ids:
            text = f"Change {one}: The {draw.choice(_PARTS)} {draw.choice(_CHANGES)}. Plant {draw.choice(_PLANTS)}."
            chunk = Chunk(one, 0, "Change request", "", text, 0, len(text), new_version("0"), 1, {})
            vector = np.ones(collection.made.dimension).tolist()
            points.append(
                point_of(chunk, EmbeddedChunk(vector, b""), stored_words(text, collection.word_rules), "default")
            )
        await storage.chunks.upsert(collection, points)
        yield storage, collection
        await storage.collections.delete("changes", tenant="default")


async def _by_words(storage: Storage, collection: ResolvedCollection, query: str) -> Sequence[Candidate]:
    found = await storage.chunk_search.search(
        collection, vector=None, text=query, limit=10, timeout_seconds=10, reader=WHOLE
    )
    return found.candidates


async def test_document_with_the_id_of_a_thousand_is_first_by_words(
    thousand: tuple[Storage, ResolvedCollection], ids: list[str]
) -> None:
    asked = random.Random(7).sample(ids, 30)

    async def first(query: str) -> str:
        found = await _by_words(*thousand, query)
        assert len(found) < 2 or found[0].sparse != found[1].sparse, query
        return found[0].chunk.document_id

    for form in ("{}", "What does {} change?", "the plant of {}, please"):
        assert [await first(form.format(one)) for one in asked] == asked
    hyphens = [one for one in asked if one.startswith("PPR")]
    assert len(hyphens) > 5
    assert [await first(one.replace("-", "")) for one in hyphens] == hyphens
    assert [await first(one.replace("PPR", "PPR-").replace("--", "-")) for one in hyphens] == hyphens


_DOCUMENTS = {
    "PPR-9087": "Change request PPR-9087. The torque of the lid screws is raised to 14 Nm.",
    "PPR-9088": "Change request PPR-9088. The torque of the base screws is lowered to 9 Nm.",
    "PPR-1204": "Change request PPR-1204. A label with the voltage is added.",
    "ligatures": "The ﬁle ofﬁce keeps the ﬂow chart.",
    "accents": "The résumé of Zoë Brontë is in the folder.",
    "street": "Die Lieferung geht an die Hauptstraße in Köln.",
    "wide": "Ｔｈｅ ＡＢＣ ｂｕｉｌｄｉｎｇ ｈａｓ １２ ｆｌｏｏｒｓ",
    "nikkei": "日経平均株価は今日、三万円を超えました。",
    "topix": "東証株価指数は昨日から下がりました。",
    "jika": "エヌビディアの時価総額は三兆ドルです。",
    "gen": "原価計算の方法を経理部が説明します。",
    "bridge": "南京市长江大桥建成于1968年。",
    "korean": "데이터베이스는 서울에 있습니다.",
    "thai": "นักเรียนไปโรงเรียนทุกวัน",
    "plus": "The driver is written in C++.",
    "sharp": "The page is written in C#.",
    "plain": "The kernel is written in C.",
    "price": "It costs 1,249.00 euros, and 3.5% more abroad.",
}


@pytest_asyncio.fixture
async def mixed(open_storage: OpenStorage) -> AsyncIterator[tuple[Storage, ResolvedCollection]]:
    """A collection with writings of all kinds."""
    async with open_storage() as storage:
        await storage.collections.create("mixed", reader=WHOLE)
        collection = await storage.collections.resolve("mixed", tenant="default")
        documents = [NewDocument(id=one, text=text) for one, text in _DOCUMENTS.items()]
        assert not any(result.error for result in await storage.ingest(*documents, collection=collection))
        yield storage, collection
        await storage.collections.delete("mixed", tenant="default")


_QUERIES = {
    "PPR-9087": "PPR-9087", "9087": "PPR-9087", "PPR 9087": "PPR-9087", "14 Nm": "PPR-9087", "1249": "price",
    "file office": "ligatures", "3.5": "price",
    "flow chart": "ligatures", "resume Zoe": "accents", "HAUPTSTRASSE KOLN": "street",
    "abc 12": "wide", "株価指数": "topix", "nvidia 時価総額": "jika", "原価計算": "gen", "日経": "nikkei",
    "长江大桥": "bridge", "1968": "bridge", "데이터": "korean", "โรงเรียน": "thai", "C++": "plus", "C#": "sharp",
    "C": "plain",
}  # fmt: skip


async def test_query_finds_its_document_first_by_words_in_any_writing(
    mixed: tuple[Storage, ResolvedCollection],
) -> None:
    found = await asyncio.gather(*(_by_words(*mixed, query) for query in _QUERIES))

    assert {
        query: candidates[0].chunk.document_id for query, candidates in zip(_QUERIES, found, strict=True)
    } == _QUERIES


async def test_query_without_words_finds_nothing_by_words(mixed: tuple[Storage, ResolvedCollection]) -> None:
    assert await _by_words(*mixed, "!?") == []
