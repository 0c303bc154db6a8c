"""Which tokens take part in late interaction, with the real model."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry
from trivium_encoders import EncoderOptions, TokenEncoder
from trivium_rerank.backends.late_interaction import punctuation_ids

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def encoder(data_dir: Path) -> AsyncIterator[TokenEncoder]:
    options = EncoderOptions(cache_dir=data_dir / "cache", workers=1)
    loaded = await TokenEncoder.load(options, registry=CollectorRegistry(), service="rerank")
    yield loaded
    await loaded.close()


async def ids_of(encoder: TokenEncoder, text: str) -> set[int]:
    return set((await encoder.encode([text])).matrices[0].token_ids.tolist())


async def test_punctuation_ids_marks_of_several_scripts_are_found(encoder: TokenEncoder) -> None:
    ignored = set((await punctuation_ids(encoder)).tolist())

    assert await ids_of(encoder, '. , ; : ? ! ( ) " -') <= ignored
    assert await ids_of(encoder, "。 ， 「 」") <= ignored


async def test_punctuation_ids_words_and_unknown_characters_are_left(encoder: TokenEncoder) -> None:
    ignored = set((await punctuation_ids(encoder)).tolist())

    for text in ("a word", "2024", "\U00013001", "树"):
        assert not await ids_of(encoder, text) & ignored, text
