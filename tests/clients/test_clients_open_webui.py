"""The very requests that Open WebUI sends for chat and for reranking."""

from __future__ import annotations

import json

import httpx

HEADERS = {
    "Authorization": "Bearer none",
    "X-OpenWebUI-User-Name": "Ada",
    "X-OpenWebUI-User-Id": "1",
    "X-OpenWebUI-User-Email": "ada@example.org",
    "X-OpenWebUI-User-Role": "user",
}
QUESTION = "How long does the warranty of the KX-200 pump last?"


def test_chat_shows_the_text_and_its_sources(base_url: str) -> None:
    body = {"model": "trivium", "messages": [{"role": "user", "content": QUESTION}], "stream": True}
    text, urls, done = "", [], False
    with httpx.stream("POST", f"{base_url}/v1/chat/completions", json=body, headers=HEADERS, timeout=60) as response:
        assert response.status_code == 200
        for line in response.iter_lines():
            if line == "data: [DONE]":
                done = True
            elif line.startswith("data: "):
                for choice in json.loads(line.removeprefix("data: ")).get("choices", []):
                    text += choice["delta"].get("content") or ""
                    urls += [note["url_citation"]["url"] for note in choice["delta"].get("annotations") or []]

    assert done
    assert "24 months" in text
    assert "https://example.org/kx-200/warranty" in urls


def test_rerank_returns_every_document(base_url: str) -> None:
    documents = ["Basel lies on the Rhine.", "The warranty lasts 24 months."]
    body = {"model": "trivium", "query": QUESTION, "documents": documents, "top_n": len(documents)}

    results = httpx.post(f"{base_url}/v1/rerank", json=body, headers=HEADERS, timeout=60).json()["results"]

    scores = [result["relevance_score"] for result in sorted(results, key=lambda result: result["index"])]
    assert len(scores) == 2
    assert scores[1] > scores[0]
