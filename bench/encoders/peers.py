"""What the service is compared with. Each function runs in a process of its own and returns seconds per text batch."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

PADDED_TOKENS = 1024
"""Budget of a bare batch; 512 and 1024 are the best ones on two cores."""


def bare_forward(texts: list[str], model_folder: str, graph: str, cores: int) -> dict[str, float]:
    """The converted model alone: texts tokenized before, sorted by length, one single-threaded session per core.

    Returns:
        `seconds` for the forward passes over all texts, and `one_query_seconds` for a text of ten tokens alone.
    """
    import openvino
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(Path(model_folder) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    rows = sorted((encoding.ids for encoding in tokenizer.encode_batch(texts)), key=len, reverse=True)
    batches: list[list[list[int]]] = [[]]
    for row in rows:
        width = -(-len((batches[-1] or [row])[0]) // 16) * 16
        if batches[-1] and (len(batches[-1]) + 1) * width > PADDED_TOKENS:
            batches.append([])
        batches[-1].append(row)
    feeds = [_padded(batch) for batch in batches]
    settings = {"NUM_STREAMS": cores, "INFERENCE_NUM_THREADS": cores, "ENABLE_CPU_PINNING": False}
    compiled = openvino.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "bf16", **settings})
    requests = [compiled.create_infer_request() for _ in range(cores)]
    for request in requests:  # one after the other: the bindings' first inference must not be two at once
        request.infer(feeds[0])

    def work(number: int) -> None:
        for feed in feeds[number::cores]:
            requests[number].infer(feed, share_inputs=True, share_outputs=True)

    with ThreadPoolExecutor(cores) as threads:
        list(threads.map(work, range(cores)))
        start = time.perf_counter()
        list(threads.map(work, range(cores)))
        seconds = time.perf_counter() - start
    query = _padded([tokenizer.encode("what does the reranker do in case 7?").ids])
    durations = []
    for _ in range(200):
        start = time.perf_counter()
        requests[0].infer(query, share_inputs=True, share_outputs=True)
        durations.append(time.perf_counter() - start)
    return {"seconds": seconds, "one_query_seconds": float(np.median(durations))}


def sentence_transformers_encode(texts: list[str], model_folder: str) -> dict[str, Any]:
    """`SentenceTransformer.encode` with its defaults.

    Returns:
        `seconds` for all texts, and their `vectors`, `[texts, dimension]`.
    """
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(model_folder, device="cpu")
    model.encode(texts[:32])
    start = time.perf_counter()
    vectors = model.encode(texts, normalize_embeddings=True)
    return {"seconds": time.perf_counter() - start, "vectors": np.asarray(vectors, dtype=np.float32)}


def _padded(rows: list[list[int]]) -> list[Any]:
    width = -(-max(len(row) for row in rows) // 16) * 16
    ids, mask = np.zeros((len(rows), width), dtype=np.int64), np.zeros((len(rows), width), dtype=np.int64)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = row
        mask[number, : len(row)] = 1
    return [ids, mask, np.zeros_like(ids)]
