"""Whether a cross-encoder may be computed in bf16: judged once by pairs and their order, and kept with its report."""

import logging
import threading
import time
from pathlib import Path

from trivium_encoders.cache_entries import obtain_entry
from trivium_encoders.children import run_child
from trivium_encoders.conversion import ConvertedModel
from trivium_encoders.description import ModelDescription
from trivium_encoders.digests import text_digest
from trivium_encoders.judgement import JUDGE_VERSION
from trivium_encoders.quality_texts import OWN_TEXTS, texts_digest

_log = logging.getLogger(__name__)


def bf16_objection(
    model: ModelDescription, graph: ConvertedModel, max_tokens: int, cache_dir: Path, abandoned: threading.Event
) -> str:
    """What bf16 changes too much of a cross-encoder, in words; empty when it may be used.

    Raises:
        ConversionFailed: The child process failed, or the cache cannot be written.
        EncoderClosed: It was abandoned.
    """
    key = text_digest(
        {
            "converted": graph.graph.parent.name,
            "max_tokens": max_tokens,
            "judge": JUDGE_VERSION,
            "texts": texts_digest(OWN_TEXTS),
        }
    )[:32]

    def make(into: Path) -> str:
        started = time.monotonic()
        _log.info("judging model %s in bf16 by pairs and their order; this happens once", model.name)
        objection = run_child(
            "trivium_encoders.judge_bf16",
            [
                *("--model", str(model.folder), "--name", model.name, "--graph", str(graph.graph)),
                *("--inputs", ",".join(graph.inputs), "--max-tokens", str(max_tokens)),
            ],
            doing=f"judging {model.name} in bf16",
            into=into,
            abandoned=abandoned,
        )
        _log.info("judged model %s in %.1f s", model.name, time.monotonic() - started)
        return objection

    return obtain_entry(cache_dir / "openvino-bf16" / key, make, abandoned).refusal
