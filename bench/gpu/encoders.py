"""Embed and rerank on the card, against plain sentence-transformers and the bare forward pass on the same card.

python encoders.py cuda|cpu FILE
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import shapes

sys.path.insert(0, str(Path(__file__).parents[1] / "encoders"))
import machine
import rerank
import throughput
from processes import Peer, Service
from results import Results
from tokenizers import Tokenizer
from workload import CORPUS, mixed_texts

if TYPE_CHECKING:
    from contextlib import ExitStack

_AIMS = {"bare": "0.90", "sentence-transformers": "1"}


@dataclass(frozen=True, slots=True)
class _Size:
    shape: shapes.Shape
    texts: int
    rounds: int


ON_GPU = {"all-MiniLM-L6-v2": _Size(shapes.MINILM, 20_000, 3), "e5-large-v2": _Size(shapes.E5_LARGE, 5_000, 3)}
DRY = {"a tiny model": _Size(shapes.TINY, 64, 1)}
_QUESTIONS = {"cuda": 20, "cpu": 1}


def main(device: str, file: Path) -> None:
    """Measures each shape, and a cross-encoder."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    results = Results()
    # What ran on the card runs there again: the service takes a GPU where torch has one, and torch where there is none.
    environ = {"TRIVIUM_EMBED_RUNTIME": "torch", "TRIVIUM_RERANK_RUNTIME": "torch"}
    if device == "cpu":
        environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ.update(environ)
    for name, size in (ON_GPU if device == "cuda" else DRY).items():
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            shapes.write_encoder(folder, size.shape, CORPUS)
            _measure(results, stack, name, size, folder, device)
        # After each, so that what was measured lasts.
        file.write_text(json.dumps({"rows": results.rows, **results.numbers}))


def _measure(results: Results, stack: ExitStack, name: str, size: _Size, folder: Path, device: str) -> None:
    model = folder / "model"
    plain = Peer(sys.executable, "plain_sentence_transformers.py", [str(model), device])
    stack.callback(plain.stop)
    bare = Peer(sys.executable, "bare_torch.py", [str(model), device])
    stack.callback(bare.stop)
    settings = {"TRIVIUM_EMBED_MODEL": str(model), "TRIVIUM_EMBED_CACHE_BYTES": "0"}
    service = Service("trivium_embed", folder, settings)
    stack.callback(service.stop)
    service.pause()
    mine = Results()
    mine.add("start to ready", f"{service.ready_seconds:.1f} s", ready=service.ready_seconds)
    peers = {"bare": bare, "sentence-transformers": plain}
    throughput.measure(mine, service, peers, machine.cores(), size.texts, size.rounds, _AIMS)
    throughput.measure_company(mine, service)
    passed = bare.ask("embed", texts=mixed_texts(size.texts, seed=0))
    rate = size.shape.flops(passed["lengths"]) / passed["seconds"]
    mine.add("bare forward pass", f"{rate / 1e12:.3g} TFLOP/s in {passed['precision']}", forward_flops=rate)
    if size.shape is not shapes.E5_LARGE:  # a cross-encoder of twice its layers
        service.stop()
        tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        rerank.measure(mine, plain, folder, None, tokenizer, _QUESTIONS[device])
    results.rows += [(f"{name}: {measure}", value, aim) for measure, value, aim in mine.rows]
    results.numbers[name] = mine.numbers


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
