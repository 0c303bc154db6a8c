"""Cohere's own SDK against the gateway."""

from __future__ import annotations

import cohere
import pytest
from cohere.core.api_error import ApiError

TEXTS = ["Basel lies on the Rhine.", "The warranty lasts 24 months.", "Change the filter every six months."]


def test_rerank_v2_orders_texts(base_url: str) -> None:
    client = cohere.ClientV2(api_key="none", base_url=base_url)

    ranked = client.rerank(model="trivium", query="How long is the warranty?", documents=TEXTS, top_n=2)

    assert ranked.results[0].index == 1
    assert len(ranked.results) == 2
    assert ranked.results[0].relevance_score >= ranked.results[1].relevance_score


def test_rerank_v1_orders_texts(base_url: str) -> None:
    client = cohere.Client(api_key="none", base_url=base_url)

    ranked = client.rerank(model="trivium", query="How long is the warranty?", documents=TEXTS)

    assert ranked.results[0].index == 1
    assert len(ranked.results) == 3


async def test_rerank_is_asked_asynchronously(base_url: str) -> None:
    client = cohere.AsyncClientV2(api_key="none", base_url=base_url)

    ranked = await client.rerank(model="trivium", query="When to change the filter?", documents=TEXTS)

    assert ranked.results[0].index == 2


def test_errors_are_those_of_the_sdk(base_url: str) -> None:
    client = cohere.ClientV2(api_key="none", base_url=base_url)

    with pytest.raises(ApiError) as raised:
        client.rerank(model="trivium", query="", documents=TEXTS)

    assert raised.value.status_code == 400
    assert raised.value.body["message"]
