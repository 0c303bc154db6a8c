"""Documents cut with the real tokenizer."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from trivium_gateway.domain.indexes import IndexMaking
from trivium_gateway.ingestion.chunking import ChunkingSettings
from trivium_gateway.ingestion.cutting import CutDocument, DocumentCutter
from trivium_gateway.ingestion.preparation import PreparedDocument
from trivium_gateway.library.resolved import ResolvedCollection
from trivium_lexical import ANALYZER_VERSION

if TYPE_CHECKING:
    from .conftest import Storage

_TEXT = "Unbelievable antidisestablishmentarianism, 人工智能是一门学科。 Zürich 🎉 is nice! " * 30

_MADE = IndexMaking("model", "whichever there is", 4, ANALYZER_VERSION)
_COLLECTION = ResolvedCollection("default", "papers", "papers__1", _MADE)


def _document(text: str, title: str = "") -> PreparedDocument:
    return PreparedDocument("a", title, "", {}, frozenset(), text, "0")


async def _cut(storage: Storage, document: PreparedDocument, settings: ChunkingSettings | None = None) -> CutDocument:
    (cut,) = await DocumentCutter(storage.embed, settings or ChunkingSettings(), 10_000).cut([document], _COLLECTION)
    assert isinstance(cut, CutDocument)
    return cut


@pytest.mark.parametrize(
    "text", [_TEXT, "x" * 3000, "a\u0301" * 2000, "🎉" * 1000, "ab-" * 2000], ids=lambda text: ascii(text[:3])
)
async def test_chunks_with_their_title_fit_the_model(storage: Storage, text: str) -> None:
    # Asking for more than the model takes leaves its maximum as the limit.
    cut = await _cut(storage, _document(text, "A title of some words"), ChunkingSettings(chunk_tokens=10_000))
    model = await storage.embed.model()
    texts = [f"{cut.heading}\n{text[span.start : span.end]}" for span in cut.spans]
    tokens = await storage.embed.tokenize(texts, timeout_seconds=30)
    longest = max(len(starts) for starts in tokens.starts) + tokens.overhead_tokens
    assert longest <= model.max_input_tokens
    assert text == _TEXT or len(cut.spans) > 1


async def test_long_title_is_cut_to_64_tokens_above_the_text(storage: Storage) -> None:
    cut = await _cut(storage, _document("Short.", "one two three four " * 20))
    assert cut.heading == " ".join(["one two three four"] * 16)


async def test_long_text_is_tokenized_in_segments_with_the_same_result(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await _cut(storage, _document(_TEXT))
    monkeypatch.setattr("trivium_gateway.ingestion.cutting._SEGMENT_CHARACTERS", 100)
    monkeypatch.setattr("trivium_gateway.ingestion.cutting._CALL_CHARACTERS", 500)
    assert await _cut(storage, _document(_TEXT)) == whole
    assert len(whole.spans) > 3


async def test_documents_keep_their_order(storage: Storage) -> None:
    cutter = DocumentCutter(storage.embed, ChunkingSettings(), 10_000)
    texts = [f"Text {number}. " * (number + 1) for number in range(20)]
    cuts = await cutter.cut(
        [_document(text, "T" if number % 2 else "") for number, text in enumerate(texts)], _COLLECTION
    )
    for cut, text in zip(cuts, texts, strict=True):
        assert isinstance(cut, CutDocument)
        assert cut.document.text == text
        assert cut.spans[-1].end == len(text)


async def test_documents_are_cut_beside_the_event_loop_and_tokenized_in_small_calls(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[int] = set()
    sizes: list[int] = []
    cut_text, tokenize = DocumentCutter._cut_text, type(storage.embed).tokenize

    def noted_cut(*arguments: Any) -> Any:
        threads.add(threading.get_ident())
        return cut_text(*arguments)

    async def noted_tokenize(client: Any, texts: Any, **more: Any) -> Any:
        sizes.append(sum(map(len, texts)))
        return await tokenize(client, texts, **more)

    monkeypatch.setattr(DocumentCutter, "_cut_text", noted_cut)
    monkeypatch.setattr(type(storage.embed), "tokenize", noted_tokenize)
    cutter = DocumentCutter(storage.embed, ChunkingSettings(), 10_000)
    await cutter.cut([_document(_TEXT * 5, f"{number}") for number in range(40)], _COLLECTION)
    assert threading.get_ident() not in threads  # on which questions would wait
    assert max(sizes) <= 200_000
    assert len(sizes) > 1
