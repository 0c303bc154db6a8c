"""What filters find, compared with the same conditions in plain Python, on a real Qdrant."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest_asyncio
from qdrant_client import grpc as qdrant
from trivium_gateway.library.documents import DocumentStatus, NewDocument
from trivium_gateway.qdrant.points import scoped_filter

from .conftest import WHOLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from .conftest import Storage

_SEED = 20261129
_DOCUMENTS = 60
_FILTERS = 400

_LANGS = ("en", "zh", "Zürich", "Zu\u0308rich")
_DATES = (
    "2025-12-31",
    "2026-01-01",
    "2026-01-01T00:00:00Z",
    "2026-01-01 12:30:00",
    "2026-01-01T12:30:00",
    "2026-01-01T23:59:59.999999Z",
    "2026-01-02T00:30:00+01:00",
    "2026-01-02 00:30:00.5-05:30",
    "0001-01-01",
    "9999-12-31",
)
_YEARS = (2019, 2020, 2020.5, 2021, -1)
_FIELDS = ("lang", "year", "open", "due", "source.page", "source.kind", "tags")


def _metadata(choose: random.Random) -> dict[str, Any]:
    """Random facts: values, lists, nulls, objects, and keys that are missing."""
    values: dict[str, Any] = {
        "lang": choose.choice(_LANGS),
        "year": choose.choice(_YEARS),
        "open": choose.random() < 0.5,
        "due": choose.choice(_DATES),
        "tags": choose.sample(["a", "b", "c", None], choose.randint(0, 3)),
        "source": {"page": choose.choice([1, 2, [1, 3], None]), "kind": choose.choice(["web", "2026-01-01", None])},
    }
    if choose.random() < 0.2:
        values["due"] = choose.sample(_DATES, 2)
    return {key: choose.choice([value, value, value, None]) for key, value in values.items() if choose.random() < 0.9}


def _values(metadata: dict[str, Any], field: str) -> list[Any]:
    found: Any = metadata
    for key in field.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    values = found if isinstance(found, list) else [found]
    return [_composed(value) for value in values if value is not None]


def _composed(value: Any) -> Any:
    return value.replace("u\u0308", "ü") if isinstance(value, str) else value


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _is_in(value: Any, bounds: dict[str, Any], field: str) -> bool:
    def key(one: Any) -> Any:
        return one if field != "due" else _moment(one)

    def end(bound: Any) -> Any:
        return bound if field != "due" or len(bound) > 10 else _moment(bound) + timedelta(days=1, microseconds=-1)

    def last(bound: Any) -> Any:
        ended = end(bound)
        return ended if isinstance(ended, datetime) or field != "due" else _moment(ended)

    return all(
        {
            "gt": lambda bound: key(value) > last(bound),
            "gte": lambda bound: key(value) >= key(bound),
            "lt": lambda bound: key(value) < key(bound),
            "lte": lambda bound: key(value) <= last(bound),
        }[name](bound)
        for name, bound in bounds.items()
    )


def _equals(value: Any, wanted: Any, field: str) -> bool:
    if field == "due":
        return _is_in(value, {"gte": wanted, "lte": wanted}, field)
    return bool(value == _composed(wanted))


def _holds(filter_json: dict[str, Any], document_id: str, metadata: dict[str, Any]) -> bool:
    for name, wanted in filter_json.items():
        if name == "not":
            held = not _holds(wanted, document_id, metadata)
        elif name == "any":
            held = any(_holds(one, document_id, metadata) for one in wanted)
        elif name == "all":
            held = all(_holds(one, document_id, metadata) for one in wanted)
        else:
            field = name.removeprefix("metadata.")
            values = [document_id] if name == "document_id" else _values(metadata, field)
            listed = wanted if isinstance(wanted, list) else [wanted]
            held = (
                any(_is_in(value, wanted, field) for value in values)
                if isinstance(wanted, dict)
                else any(
                    not values if one is None else any(_equals(value, one, field) for value in values) for one in listed
                )
            )
        if not held:
            return False
    return True


def _condition(choose: random.Random) -> tuple[str, Any]:
    field = choose.choice((*_FIELDS, "document_id"))
    if field == "document_id":
        return field, choose.sample([f"d{number}" for number in range(_DOCUMENTS)], 5)
    some: Sequence[Any] = {
        "lang": (*_LANGS, None),
        "year": (*_YEARS, None),
        "open": (True, False, None),
        "due": (*_DATES, "2026-01-01T23:30:00Z", None),
        "tags": ("a", "b", "d", None),
        "source.page": (1, 2, 3, None),
        "source.kind": ("web", "2026-01-01", "x", None),
    }[field]
    if field in ("year", "due", "source.page") and choose.random() < 0.5:
        bounds = choose.sample([value for value in some if value is not None], 2)
        return f"metadata.{field}", dict(zip(choose.sample(["gt", "gte", "lt", "lte"], 2), bounds, strict=True))
    if choose.random() < 0.5:
        return f"metadata.{field}", choose.sample(list(some), 2)
    return f"metadata.{field}", choose.choice(some)


def _filter(choose: random.Random, depth: int = 1) -> dict[str, Any]:
    made = dict(_condition(choose) for _ in range(choose.randint(1, 2)))
    if depth < 4:
        if choose.random() < 0.4:
            made["not"] = _filter(choose, depth + 1)
        if choose.random() < 0.3:
            made[choose.choice(["any", "all"])] = [_filter(choose, depth + 1) for _ in range(choose.randint(1, 2))]
        if len(made) > 1 and choose.random() < 0.5:
            made.pop(next(iter(made)))
    return made


@pytest_asyncio.fixture
async def described(storage: Storage) -> AsyncIterator[tuple[Storage, dict[str, dict[str, Any]]]]:
    """Many documents with random metadata, of which each key's first value is a plain one."""
    choose = random.Random(_SEED)
    first: dict[str, Any] = {"lang": "en", "year": 1, "open": True, "due": "2026-01-01", "tags": ["a"]}
    facts: dict[str, dict[str, Any]] = {"d0": {**first, "source": {"page": 1, "kind": "web"}}}
    facts |= {f"d{number}": _metadata(choose) for number in range(1, _DOCUMENTS)}
    documents = [NewDocument(id=name, text=f"Document {name}.", metadata=one) for name, one in facts.items()]
    results = await storage.ingest(documents[0])
    results += await storage.ingest(*documents[1:])
    assert {result.status for result in results} == {DocumentStatus.INDEXED}, results
    yield storage, facts


async def _found(storage: Storage, filter_json: dict[str, Any]) -> set[str]:
    collection = await storage.collections.resolve("", tenant="default")
    conditions = await storage.collections.parse_filter(collection, filter_json)
    request = qdrant.ScrollPoints(
        collection_name=collection.physical, filter=scoped_filter(WHOLE, user_filter=conditions), limit=1000
    )
    reply = await storage.connection.call(storage.connection.points.Scroll, request, timeout_seconds=10)
    return {point.payload["document_id"].string_value for point in reply.result}


async def test_filter_of_any_shape_finds_what_it_says(
    described: tuple[Storage, dict[str, dict[str, Any]]],
) -> None:
    storage, facts = described
    choose = random.Random(_SEED)
    sizes = set()
    for _ in range(_FILTERS):
        wanted = _filter(choose)
        expected = {name for name, metadata in facts.items() if _holds(wanted, name, metadata)}
        assert await _found(storage, wanted) == expected, wanted
        sizes.add(len(expected))
    assert len(sizes) > 20  # not all of them find nothing, or everything


async def test_day_in_a_filter_means_all_of_it(storage: Storage) -> None:
    at = {"early": "2026-01-30T23:59:59Z", "day": "2026-01-31", "noon": "2026-01-31T12:00:00Z", "next": "2026-02-01"}
    await storage.ingest(*(NewDocument(id=name, text=name, metadata={"due": due}) for name, due in at.items()))
    assert await _found(storage, {"metadata.due": "2026-01-31"}) == {"day", "noon"}
    assert await _found(storage, {"metadata.due": {"lte": "2026-01-31"}}) == {"early", "day", "noon"}
    assert await _found(storage, {"metadata.due": {"gt": "2026-01-31"}}) == {"next"}
    assert await _found(storage, {"metadata.due": {"gte": "2026-01-31T00:00:01Z"}}) == {"noon", "next"}


async def test_key_of_texts_takes_dates_and_a_key_of_dates_no_texts(storage: Storage) -> None:
    results = await storage.ingest(
        NewDocument(id="a", text="a", metadata={"when": "in spring", "due": "2026-01-31"}),
    )
    results += await storage.ingest(
        NewDocument(id="b", text="b", metadata={"when": "2026-01-31"}),
        NewDocument(id="c", text="c", metadata={"due": "in spring"}),
    )
    assert [result.status.value for result in results] == ["indexed", "indexed", "failed"]
    assert results[2].error is not None
    assert results[2].error.reason == "METADATA_TYPE_CONFLICT"
    assert "write it as 2026-01-31" in results[2].error.message
    assert await _found(storage, {"metadata.when": "2026-01-31"}) == {"b"}


async def test_key_with_dates_and_texts_in_one_call_is_of_texts(storage: Storage) -> None:
    results = await storage.ingest(
        NewDocument(id="a", text="a", metadata={"when": "2026-01-31"}),
        NewDocument(id="b", text="b", metadata={"when": "in spring"}),
    )
    assert [result.status.value for result in results] == ["indexed", "indexed"]


async def test_fact_of_the_documents_own_that_does_not_fit_is_left_out(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="a", text="a", metadata={"date": "2026-01-31", "status": 1}))
    own = b"---\ndate: in spring\nstatus: draft\nlang: en\n---\nText.\n"
    [result] = await storage.ingest(NewDocument(id="b", data=own, filename="b.md"))
    assert result.error is None
    default = await storage.collections.resolve("", tenant="default")
    assert (await storage.documents.get(default, "b", reader=WHOLE)).metadata == {"lang": "en"}


async def test_metadata_come_back_as_they_were_given_but_for_nulls(storage: Storage) -> None:
    given = {"source": {"page": 3, "in": {"tags": ["x", None]}, "none": None}, "none": None, "a.b": 1}
    await storage.ingest(NewDocument(id="a", text="a", metadata=given))
    default = await storage.collections.resolve("", tenant="default")
    kept = {"source": {"page": 3, "in": {"tags": ["x"]}}, "a.b": 1}
    assert (await storage.documents.get(default, "a", reader=WHOLE)).metadata == kept
    [listed], _ = await storage.documents.list(default, page_size=10, reader=WHOLE)
    assert listed.metadata == kept
    assert await _found(storage, {"metadata.source.in.tags": "x", "metadata.a.b": 1}) == {"a"}


async def test_id_in_each_of_its_unicode_forms_is_one_document(storage: Storage) -> None:
    composed, decomposed = "Zürich/Übersicht.md", "Zu\u0308rich/U\u0308bersicht.md"
    first = await storage.ingest(NewDocument(id=decomposed, text="One."))
    second = await storage.ingest(NewDocument(id=composed, text="Two."))
    assert [first[0].id, second[0].id, second[0].status] == [composed, composed, DocumentStatus.UPDATED]
    default = await storage.collections.resolve("", tenant="default")
    listed, _ = await storage.documents.list(default, page_size=10, reader=WHOLE)
    assert [document.id for document in listed] == [composed]
    assert (await storage.documents.get(default, decomposed, reader=WHOLE)).text == "Two."
    assert await _found(storage, {"document_id": decomposed}) == {composed}
    assert await storage.documents.delete(default, [decomposed, composed], reader=WHOLE) == [composed]


async def test_document_that_an_earlier_version_kept_under_a_decomposed_id_is_found_and_replaced(
    storage: Storage,
) -> None:
    composed, decomposed = "Übersicht.md", "U\u0308bersicht.md"
    await storage.ingest(NewDocument(id="plain", text="Old."))
    default = await storage.collections.resolve("", tenant="default")
    collection = default.physical
    [point] = (
        await storage.connection.call(
            storage.connection.points.Scroll,
            qdrant.ScrollPoints(collection_name=collection, filter=scoped_filter(WHOLE), limit=10),
            timeout_seconds=10,
        )
    ).result
    await storage.connection.call(
        storage.connection.points.SetPayload,
        qdrant.SetPayloadPoints(
            collection_name=collection,
            wait=True,
            payload={"document_id": qdrant.Value(string_value=decomposed)},
            points_selector=qdrant.PointsSelector(points=qdrant.PointsIdsList(ids=[point.id])),
        ),
        timeout_seconds=10,
    )
    assert (await storage.documents.get(default, composed, reader=WHOLE)).text == "Old."
    await storage.ingest(NewDocument(id=decomposed, text="New."))
    listed, _ = await storage.documents.list(default, page_size=10, reader=WHOLE)
    assert [document.id for document in listed] == [composed]
