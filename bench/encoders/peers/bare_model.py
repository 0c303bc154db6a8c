"""The converted model alone on its runtime: no server, no tokenizer in the timed part. The limit to serve at.

    python bare_model.py TOKENIZER.json MODEL.xml CORES

Texts are sorted by length and cut into batches under a budget of padded tokens; one single-threaded session per core
takes the next batch, the longest texts first. The budget is the best one of several, found in the first pass.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from answering import answer, own_stdout

BUDGETS = (256, 512, 1024, 2048)
"""Padded tokens of a batch to try."""
PRECISION = {"INFERENCE_PRECISION_HINT": "bf16", "ENABLE_CPU_PINNING": False}


class BareModel:
    """The model, compiled as the service compiles it, and once more with all cores on one input."""

    def __init__(self, tokenizer: str, graph: str, cores: int) -> None:
        import openvino
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(tokenizer)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(256)
        self._inputs = json.loads((Path(graph).parent / "report.json").read_text())["inputs"]
        settings = {**PRECISION, "NUM_STREAMS": cores, "INFERENCE_NUM_THREADS": cores}
        compiled = openvino.Core().compile_model(graph, "CPU", settings)
        self._sessions = [compiled.create_infer_request() for _ in range(cores)]
        together = openvino.Core().compile_model(graph, "CPU", {**settings, "NUM_STREAMS": 1})
        self._together = together.create_infer_request()
        for session in (*self._sessions, self._together):  # the bindings' first inference must not be two at once
            session.infer(self._feed([[1]]))
        self._budget = 0

    def embed(self, texts: list[str]) -> dict[str, Any]:
        """Seconds of the forward passes over all texts, after a pass that is not timed."""
        rows = sorted((encoding.ids for encoding in self._tokenizer.encode_batch(texts)), key=len, reverse=True)
        if not self._budget:
            tried = {}
            for budget in BUDGETS:
                self._pass(feeds := self._feeds(rows, budget))
                tried[budget] = min(self._pass(feeds), self._pass(feeds))
            self._budget = min(tried, key=lambda budget: tried[budget])
        feeds = self._feeds(rows, self._budget)
        self._pass(feeds)
        return {"seconds": self._pass(feeds), "budget": self._budget, "tokens": sum(map(len, rows))}

    def queries(self, texts: list[str]) -> dict[str, Any]:
        """Seconds of each text's forward pass, on one core and on all of them."""
        feeds = [self._feed([self._tokenizer.encode(text).ids]) for text in texts]
        return {"one_core": _timed(self._sessions[0], feeds), "all_cores": _timed(self._together, feeds)}

    def _pass(self, feeds: list[dict[int, Any]]) -> float:
        waiting = iter(feeds)

        def work(session: Any) -> None:
            for feed in waiting:  # a list's iterator gives each batch to one thread
                session.infer(feed, share_inputs=True, share_outputs=True)

        with ThreadPoolExecutor(len(self._sessions)) as threads:
            start = time.perf_counter()
            list(threads.map(work, self._sessions))
            return time.perf_counter() - start

    def _feeds(self, rows: list[list[int]], budget: int) -> list[dict[int, Any]]:
        batches: list[list[list[int]]] = [[]]
        for row in rows:
            width = _width((batches[-1] or [row])[0])
            if batches[-1] and (len(batches[-1]) + 1) * width > budget:
                batches.append([])
            batches[-1].append(row)
        return [self._feed(batch) for batch in batches]

    def _feed(self, rows: list[list[int]]) -> dict[int, Any]:
        shape = (len(rows), _width(max(rows, key=len)))
        ids, mask = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = row
            mask[number, : len(row)] = 1
        arrays = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        return {index: arrays[name] for index, name in enumerate(self._inputs)}


def _width(row: list[int]) -> int:
    """A length, rounded up to a multiple of 16, for fewer shapes."""
    return -(-len(row) // 16) * 16


def _timed(session: Any, feeds: list[dict[int, Any]]) -> list[float]:
    durations = []
    for feed in feeds:
        start = time.perf_counter()
        session.infer(feed, share_inputs=True, share_outputs=True)
        durations.append(time.perf_counter() - start)
    return durations


if __name__ == "__main__":
    own_stdout()
    bare = BareModel(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    answer({"embed": bare.embed, "queries": bare.queries}, ("openvino",))
