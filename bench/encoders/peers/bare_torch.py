"""The transformer alone in PyTorch, on a GPU or the CPU: no server, no tokenizer and no copies in the timed part.

    python bare_torch.py MODEL cuda|cpu

Texts are sorted by length and cut into batches under a budget of padded tokens, the best one of several.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from answering import answer, own_stdout

BUDGETS = {"cuda": (8192, 32_768, 131_072), "cpu": (1024,)}
"""Padded tokens of a batch to try."""


class BareTorch:
    """The model in the smallest numbers that the device multiplies natively."""

    def __init__(self, folder: str, device: str) -> None:
        import torch
        from transformers import AutoModel, AutoTokenizer

        self._torch, self._device = torch, device
        native = device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        self._dtype = torch.bfloat16 if native else torch.float16 if device == "cuda" else torch.float32
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._model: Any = AutoModel.from_pretrained(folder, dtype=self._dtype, attn_implementation="sdpa")
        self._model = self._model.eval().to(device)
        self._budget = 0

    def embed(self, texts: list[str]) -> dict[str, Any]:
        """Seconds of the forward passes over all texts, after a pass that is not timed; and the texts' lengths."""
        rows = sorted(self._tokenizer(texts, truncation=True)["input_ids"], key=len, reverse=True)
        if not self._budget:
            tried = {budget: min(self._pass(rows, budget) for _ in range(2)) for budget in BUDGETS[self._device]}
            self._budget = min(tried, key=lambda budget: tried[budget])
        self._pass(rows, self._budget)
        seconds = self._pass(rows, self._budget)
        return {"seconds": seconds, "lengths": [*map(len, rows)], "precision": str(self._dtype).partition(".")[2]}

    def _pass(self, rows: list[list[int]], budget: int) -> float:
        feeds, batch = [], []
        for row in rows:
            if batch and (len(batch) + 1) * len(batch[0]) > budget:
                feeds.append(self._feed(batch))
                batch = []
            batch.append(row)
        feeds.append(self._feed(batch))
        self._wait()
        begin = time.perf_counter()
        with self._torch.inference_mode():
            for feed in feeds:
                self._model(**feed)
        self._wait()
        return time.perf_counter() - begin

    def _feed(self, rows: list[list[int]]) -> dict[str, Any]:
        padded = self._tokenizer.pad({"input_ids": rows}, return_tensors="pt")
        return {name: tensor.to(self._device) for name, tensor in padded.items()}

    def _wait(self) -> None:
        if self._device == "cuda":
            self._torch.cuda.synchronize()


if __name__ == "__main__":
    own_stdout()
    bare = BareTorch(sys.argv[1], sys.argv[2])
    answer({"embed": bare.embed}, ("torch", "transformers"))
