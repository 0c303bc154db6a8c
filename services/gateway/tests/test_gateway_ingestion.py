"""Ingestion: outcomes in order, updates without remains, repeats without cost, failures alone."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from trivium_gateway.domain.readers import whole
from trivium_gateway.library.documents import DocumentResult, DocumentStatus, NewDocument
from trivium_serving.errors import NotFound, TooLarge, Unavailable

from .conftest import WHOLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .conftest import OpenStorage, Storage

_SENTENCE = "Sentence number {} is about something else. "


def _long_text(sentences: int = 100) -> str:
    return "".join(_SENTENCE.format(number) for number in range(sentences))


def _outcomes(results: list[DocumentResult]) -> list[str]:
    return [result.error.reason if result.error else result.status.value for result in results]


async def _chunks(storage: Storage, document_id: str, tenant: str = "default") -> dict[str, list[Any]]:
    collection = await storage.collections.resolve("", tenant="default")
    return {**await storage.chunks.read_document(collection, document_id, whole(tenant))}


async def test_new_then_same_then_changed_document_is_indexed_unchanged_updated(storage: Storage) -> None:
    assert _outcomes(await storage.ingest(NewDocument(id="a", text="One."))) == ["indexed"]
    assert _outcomes(await storage.ingest(NewDocument(id="a", text="One."))) == ["unchanged"]
    assert _outcomes(await storage.ingest(NewDocument(id="a", text="Two."))) == ["updated"]
    found = await storage.documents.get(await storage.collections.resolve("", tenant="default"), "a", reader=WHOLE)
    assert found.text == "Two."


@pytest.mark.parametrize(
    "change", [{"title": "T"}, {"uri": "https://x"}, {"metadata": {"a": 2}}, {"text": "One!"}], ids=str
)
async def test_any_field_that_changes_updates_the_document(storage: Storage, change: dict[str, Any]) -> None:
    original: dict[str, Any] = {"id": "a", "text": "One.", "metadata": {"a": 1}}
    await storage.ingest(NewDocument(**original))
    assert _outcomes(await storage.ingest(NewDocument(**(original | change)))) == ["updated"]
    (chunks,) = (await _chunks(storage, "a")).values()
    assert len(chunks) == 1


async def test_unchanged_documents_cost_no_embedding_and_few_calls(storage: Storage) -> None:
    documents = [NewDocument(id=f"{number}", text=f"Text {number}.") for number in range(100)]
    await storage.ingest(*documents)
    storage.embed.embedded = 0
    calls = 0
    call = storage.connection.call

    async def counted(*arguments: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        return await call(*arguments, **more)

    storage.connection.call = counted  # type: ignore[method-assign]
    results = await storage.ingest(*documents)
    assert {result.status for result in results} == {DocumentStatus.UNCHANGED}
    assert {result.chunk_count for result in results} == {1}
    assert storage.embed.embedded == 0
    assert calls <= 4


async def test_numbers_that_are_equal_make_no_change(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="a", text="x", metadata={"year": 2020}))
    assert _outcomes(await storage.ingest(NewDocument(id="a", text="x", metadata={"year": 2020.0}))) == ["unchanged"]


async def test_update_to_fewer_chunks_leaves_none_of_the_old_ones(storage: Storage) -> None:
    (long,) = await storage.ingest(NewDocument(id="a", text=_long_text()))
    assert long.chunk_count > 3
    (short,) = await storage.ingest(NewDocument(id="a", text="Only this."))
    assert short.chunk_count == 1
    (chunks,) = (await _chunks(storage, "a")).values()
    assert [chunk.text for chunk in chunks] == ["Only this."]
    assert (await storage.collections.get("", reader=WHOLE)).chunk_count == 1


async def test_chunks_are_the_stored_text_at_their_spans(storage: Storage) -> None:
    text = _long_text() + "\n\n人工智能是一门学科。" * 60 + "\r\n🎉🎉 end"
    await storage.ingest(NewDocument(id="a", text=text, title="A title"))
    stored = text.replace("\r\n", "\n")
    (chunks,) = (await _chunks(storage, "a")).values()
    assert len(chunks) > 5
    assert all(chunk.text == stored[chunk.start : chunk.end] for chunk in chunks)
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    found = await storage.documents.get(await storage.collections.resolve("", tenant="default"), "a", reader=WHOLE)
    assert (found.text, found.chunk_count) == (stored, len(chunks))


async def test_one_word_of_20000_characters_is_stored_whole(storage: Storage) -> None:
    text = "y" * 20_000
    assert _outcomes(await storage.ingest(NewDocument(id="a", text=text))) == ["indexed"]
    assert (
        await storage.documents.get(await storage.collections.resolve("", tenant="default"), "a", reader=WHOLE)
    ).text == text


async def test_documents_that_fail_fail_alone_and_in_order(storage: Storage) -> None:
    results = await storage.ingest(
        NewDocument(id="good", text="Good."),
        NewDocument(id="blank", text=" "),
        NewDocument(id="a\nb", text="x"),
        NewDocument(id="half \ud83d", text="x"),
        NewDocument(data=b"%PDF-1.4 broken", filename="a.pdf"),
        NewDocument(id="both", text="x", data=b"y"),
        NewDocument(id="meta", text="x", metadata={"a": [{"b": 1}]}),
        NewDocument(id="also good", text="Also good."),
    )
    assert _outcomes(results) == [
        "indexed",
        "EMPTY_DOCUMENT",
        "INVALID_FIELD",
        "INVALID_FIELD",
        "PDF_BROKEN",
        "INVALID_FIELD",
        "INVALID_FIELD",
        "indexed",
    ]
    assert [result.id for result in results][:3] == ["good", "blank", "a\nb"]
    assert all(result.id.encode() for result in results)


async def test_failed_update_leaves_the_earlier_version(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="a", text="Before."))
    assert _outcomes(await storage.ingest(NewDocument(id="a", text="\0"))) == ["BINARY_CONTENT"]
    assert (
        await storage.documents.get(await storage.collections.resolve("", tenant="default"), "a", reader=WHOLE)
    ).text == "Before."


async def test_text_that_the_embed_service_refuses_fails_its_document_alone(storage: Storage) -> None:
    # No tokens, and nothing visible in its middle: only marks that go onto letters, and zero-width ones.
    odd = "word " * 100 + "\n\n\u0301" + "\u200b" * 900 + "\u0301\n\n" + "word " * 100
    results = await storage.ingest(NewDocument(id="a", text="Fine."), NewDocument(id="b", text=odd))
    assert _outcomes(results) == ["indexed", "BLANK_TEXT"]


async def test_missing_id_is_the_hash_of_the_uri_else_of_the_content(storage: Storage) -> None:
    one, two, three, four = await storage.ingest(
        NewDocument(text="x", uri="https://a"),
        NewDocument(text="y", uri="https://a"),
        NewDocument(text="x"),
        NewDocument(data=b"x", filename="x.txt"),
    )
    assert one.id == two.id != three.id == four.id
    assert _outcomes([one, two, three, four]) == ["indexed", "updated", "indexed", "unchanged"]


async def test_same_id_twice_in_a_call_is_applied_in_order(storage: Storage) -> None:
    results = await storage.ingest(*(NewDocument(id="a", text=f"Version {number}.") for number in range(5)))
    assert _outcomes(results) == ["indexed"] + ["updated"] * 4
    (chunks,) = (await _chunks(storage, "a")).values()
    assert chunks[0].text == "Version 4."


async def test_same_id_in_calls_at_once_leaves_one_version(storage: Storage) -> None:
    await asyncio.gather(*(storage.ingest(NewDocument(id="a", text=_long_text(number))) for number in range(20, 26)))
    versions = await _chunks(storage, "a")
    assert len(versions) == 1


async def test_calls_with_crossing_documents_do_not_wait_for_each_other_for_ever(storage: Storage) -> None:
    forth = [NewDocument(id=f"{number}", text="forth") for number in range(5)] * 3
    back = [NewDocument(id=f"{number}", text="back") for number in reversed(range(5))] * 3
    async with asyncio.timeout(60):
        one, two = await asyncio.gather(storage.ingest(*forth), storage.ingest(*back))
    assert not any(result.error for result in one + two)
    assert (await storage.collections.get("", reader=WHOLE)).chunk_count == 5


async def test_documents_of_a_stream_are_written_while_it_goes_on(storage: Storage) -> None:
    collection = await storage.collections.resolve("", tenant="default")
    upsert, some_are_there = storage.chunks.upsert, asyncio.Event()

    async def noticed(where: Any, points: Any) -> None:
        await upsert(where, points)
        some_are_there.set()

    storage.chunks.upsert = noticed  # type: ignore[method-assign,assignment]

    async def stream() -> AsyncIterator[NewDocument]:
        for number in range(400):
            yield NewDocument(id=f"{number}", text=f"Document {number}.")
        await some_are_there.wait()
        yield NewDocument(id="last", text="The last one.")

    ingesting = asyncio.create_task(storage.ingester.ingest(collection, stream(), max_documents=1000, reader=WHOLE))
    async with asyncio.timeout(60):
        assert len(await ingesting) == 401


async def test_too_many_documents_in_a_list_are_refused_before_any_is_written(storage: Storage) -> None:
    collection = await storage.collections.resolve("", tenant="default")
    documents = [NewDocument(id=f"{number}", text="x") for number in range(4)]
    with pytest.raises(TooLarge) as caught:
        await storage.ingester.ingest(collection, documents, max_documents=3, reader=WHOLE)
    assert caught.value.reason == "TOO_MANY_DOCUMENTS"
    assert (await storage.collections.get("", reader=WHOLE)).chunk_count == 0


async def test_too_many_documents_in_a_stream_are_refused_after_those_before(storage: Storage) -> None:
    collection = await storage.collections.resolve("", tenant="default")
    documents = (NewDocument(id=f"{number}", text="x") for number in range(10_000))
    with pytest.raises(TooLarge) as caught:
        await storage.ingester.ingest(collection, documents, max_documents=150, reader=WHOLE)
    assert caught.value.reason == "TOO_MANY_DOCUMENTS"
    assert (await storage.collections.get("", reader=WHOLE)).chunk_count == 150


async def test_document_of_too_many_chunks_is_refused(open_storage: OpenStorage, storage: Storage) -> None:
    async with open_storage(max_chunks_per_document=2) as small:
        results = await small.ingest(NewDocument(id="a", text=_long_text()), NewDocument(id="b", text="x"))
    assert _outcomes(results) == ["TOO_MANY_CHUNKS", "indexed"]


async def test_very_long_title_leaves_room_for_the_text(storage: Storage) -> None:
    title = "A title that goes on and on, " * 17
    (result,) = await storage.ingest(NewDocument(id="a", title=title, text=_long_text()))
    assert result.error is None
    found = await storage.documents.get(await storage.collections.resolve("", tenant="default"), "a", reader=WHOLE)
    assert found.title == title.strip()
    assert found.text == _long_text()


async def test_markdown_file_gets_its_title_and_is_found_by_it(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="a", data=b"# Zanzibar\n\nSome words.", filename="a.md"))
    collection = await storage.collections.resolve("", tenant="default")
    found = await storage.chunk_search.search(
        collection, vector=None, text="zanzibar", limit=3, timeout_seconds=10, reader=WHOLE
    )
    assert [(one.chunk.title, one.chunk.text) for one in found.candidates] == [
        ("Zanzibar", "# Zanzibar\n\nSome words.")
    ]


async def test_embed_service_that_is_gone_is_unavailable_for_the_whole_call(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = await storage.collections.resolve("", tenant="default")

    async def gone(**_: object) -> None:
        raise Unavailable("gone", reason="UPSTREAM_UNAVAILABLE")

    monkeypatch.setattr(storage.embed, "model", gone)
    with pytest.raises(Unavailable):
        await storage.ingester.ingest(collection, [NewDocument(text="x")], max_documents=1, reader=WHOLE)


async def test_embed_service_that_goes_meanwhile_fails_the_documents(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object, **__: object) -> None:
        raise Unavailable("gone", reason="UPSTREAM_UNAVAILABLE")

    monkeypatch.setattr(storage.embed, "embed_documents", gone)
    monkeypatch.setattr("trivium_gateway.ingestion.patience._UNAVAILABLE_PATIENCE_SECONDS", 0.0)
    assert _outcomes(await storage.ingest(NewDocument(id="a", text="x"))) == ["UPSTREAM_UNAVAILABLE"]
    with pytest.raises(NotFound):
        await storage.documents.get(await storage.collections.resolve("", tenant="default"), "a", reader=WHOLE)


async def test_embed_service_that_comes_back_is_waited_for(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    embed_documents, failures = storage.embed.embed_documents, 2

    async def flaky(*arguments: Any, **more: Any) -> Any:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise Unavailable("restarting", reason="LOADING")
        return await embed_documents(*arguments, **more)

    monkeypatch.setattr(storage.embed, "embed_documents", flaky)
    assert _outcomes(await storage.ingest(NewDocument(id="a", text="x"))) == ["indexed"]


async def test_metrics_count_chunks_and_time_stages(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="a", text=_long_text()))
    chunk_count = (await storage.collections.get("", reader=WHOLE)).chunk_count
    assert storage.registry.get_sample_value("trivium_gateway_ingest_chunks_total") == chunk_count
    for stage in ("parse", "lookup", "tokenize", "embed", "write"):
        name = "trivium_gateway_ingest_stage_duration_seconds_count"
        assert (storage.registry.get_sample_value(name, {"stage": stage}) or 0) >= 1


async def test_payload_has_the_fields_that_others_rely_on(storage: Storage) -> None:
    from qdrant_client import grpc as qdrant
    from qdrant_client.conversions.conversion import value_to_json

    await storage.ingest(NewDocument(id="a", title="T", uri="u", text="x", metadata={"k": [1, 2]}))
    collection = await storage.collections.resolve("", tenant="default")
    reply = await storage.connection.call(
        storage.connection.points.Scroll,
        qdrant.ScrollPoints(collection_name=collection.physical, with_payload=qdrant.WithPayloadSelector(enable=True)),
        timeout_seconds=10,
    )
    payload = {key: value_to_json(value) for key, value in reply.result[0].payload.items()}
    content_hash, begun, write = payload.pop("content_hash").split(".")
    assert (len(content_hash), len(write)) == (64, 16)
    assert abs(int(begun, 16) - time.time()) < 600
    assert base64.b64decode(payload.pop("token_codes")).startswith(b"TC")
    expected = {
        "tenant": "default", "document_id": "a", "chunk_index": 0, "text": "x", "title": "T", "uri": "u", "start": 0,
        "end": 1, "metadata": {"k": [1, 2]}, "schema_version": 2, "chunk_count": 1,
        "has_token_codes": True, "text_bytes_high": 0, "text_bytes_low": 1,
    }  # fmt: skip
    assert json.dumps(payload, sort_keys=True) == json.dumps(expected, sort_keys=True)
