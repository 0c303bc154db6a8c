"""The vectors of a chunk's tokens beside it in Qdrant, by the real embed service."""

from typing import TYPE_CHECKING

from trivium_encoders import decode_codes
from trivium_gateway.library.candidates import Candidate
from trivium_gateway.library.documents import NewDocument
from trivium_gateway.library.resolved import ResolvedCollection

from .conftest import WHOLE

if TYPE_CHECKING:
    from .conftest import Storage


async def _found(storage: "Storage", collection: ResolvedCollection) -> list[Candidate]:
    found = await storage.chunk_search.search(
        collection, vector=None, text="heron", limit=100, timeout_seconds=10, reader=WHOLE
    )
    return list(found.candidates)


async def test_ingestion_keeps_the_token_codes_of_each_chunk(storage: "Storage") -> None:
    collection = await storage.collections.resolve("", tenant="default")
    words = [f"Heron number {number} was seen at the pond in the morning." for number in range(60)]
    await storage.ingest(NewDocument(id="long", text=" ".join(words)), NewDocument(id="short", text="A heron."))
    candidates = await _found(storage, collection)
    codes = await storage.chunk_search.token_codes(collection, candidates, timeout_seconds=10, reader=WHOLE)

    assert len(candidates) > 3
    for candidate, code in zip(candidates, codes, strict=True):
        tokens = await storage.embed.tokenize([candidate.chunk.text], timeout_seconds=10)
        marks = candidate.chunk.text.count(".")
        assert len(decode_codes(code).token_ids) == len(tokens.starts[0]) - marks


async def test_token_codes_of_chunks_that_are_gone_are_empty(storage: "Storage") -> None:
    collection = await storage.collections.resolve("", tenant="default")
    await storage.ingest(NewDocument(id="a", text="A heron."))
    candidates = await _found(storage, collection)
    await storage.documents.delete(collection, ["a"], reader=WHOLE)

    assert await storage.chunk_search.token_codes(collection, candidates, timeout_seconds=10, reader=WHOLE) == [b""]


async def test_document_as_stored_is_read_without_its_token_codes(storage: "Storage") -> None:
    collection = await storage.collections.resolve("", tenant="default")
    await storage.ingest(NewDocument(id="a", text="A heron."))
    stored = await storage.documents.get(collection, "a", reader=WHOLE)

    assert stored.text == "A heron."
