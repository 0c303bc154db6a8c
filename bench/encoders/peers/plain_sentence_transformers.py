"""`SentenceTransformer.encode` and `CrossEncoder.predict` with their defaults, in process.

python plain_sentence_transformers.py MODEL [cpu|cuda]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from answering import answer, coded, own_stdout
from cross_encoder_model import write_cross_encoder


class Plain:
    """The models, each loaded when it is first asked for."""

    def __init__(self, model: str, device: str = "cpu") -> None:
        self._model = model
        self._device = device
        self._encoder: Any = None
        self._cross_encoder: Any = None

    def embed(self, texts: list[str]) -> dict[str, Any]:
        """Seconds for all texts in one call, and their vectors."""
        from sentence_transformers import SentenceTransformer

        self._encoder = self._encoder or SentenceTransformer(self._model, device=self._device)
        start = time.perf_counter()
        vectors = self._encoder.encode(texts)
        return {"seconds": time.perf_counter() - start, "vectors": coded(np.asarray(vectors))}

    def write_cross_encoder(self, folder: str, questions: list[tuple[str, list[str]]]) -> dict[str, Any]:
        """Makes the cross-encoder to rerank with; see cross_encoder_model."""
        return write_cross_encoder(Path(self._model), Path(folder), questions)

    def rerank(self, folder: str, query: str, passages: list[str]) -> dict[str, Any]:
        """Seconds for all passages in one call, and their scores."""
        from sentence_transformers import CrossEncoder

        self._cross_encoder = self._cross_encoder or CrossEncoder(folder, device=self._device)
        start = time.perf_counter()
        scores = self._cross_encoder.predict([(query, passage) for passage in passages])
        return {"seconds": time.perf_counter() - start, "scores": [float(score) for score in scores]}


if __name__ == "__main__":
    own_stdout()
    plain = Plain(*sys.argv[1:])
    answer(
        {"embed": plain.embed, "write_cross_encoder": plain.write_cross_encoder, "rerank": plain.rerank},
        ("sentence-transformers", "torch", "transformers"),
    )
