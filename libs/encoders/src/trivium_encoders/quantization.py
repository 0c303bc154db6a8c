"""Static int8: made once from the converted model, judged against it, and kept with its report only if it passes."""

import importlib.util
import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from trivium_encoders.cache_entries import obtain_entry
from trivium_encoders.children import run_child
from trivium_encoders.conversion import ConvertedModel
from trivium_encoders.cores import multiplies_int8
from trivium_encoders.description import Family, ModelDescription
from trivium_encoders.digests import text_digest
from trivium_encoders.errors import QuantizationFailed
from trivium_encoders.quality_texts import OWN_TEXTS, read_quality_texts, texts_digest

_log = logging.getLogger(__name__)

QUANTIZER_VERSION = 1
"""Raise it when quantised models, or the limits that they are judged by, change, so that no older entry is read."""


@dataclass(frozen=True, slots=True)
class QuantizationJob:
    """What decides a quantised model."""

    model: ModelDescription
    """The model."""
    output: Family
    """What is served of it, and so judged."""
    fingerprint: str
    """The model's, before it is quantised: weights, tokenizer, prompts, pooling, length."""
    graph: ConvertedModel
    """The transformer to quantise."""
    max_tokens: int
    """Longest input in tokens."""
    unquantized: str
    """Numbers of what stays in floating point: `bf16` or `fp32`."""
    texts: Path = OWN_TEXTS
    """What it is calibrated and judged with."""


def quantized(job: QuantizationJob, cache_dir: Path, abandoned: threading.Event | None = None) -> ConvertedModel:
    """The model in int8, from the cache or made now by a child process.

    The entry's `report.json` has what was measured, also of a model that was refused. A cached entry needs no NNCF, and
    its version is not in the key: an entry is trusted for what was measured of it. Whether the processor multiplies
    int8 exactly is in the key, because the measurement holds only there.

    Raises:
        QuantizationFailed: It changes the model too much, or NNCF or the texts are missing; says what to do.
        ConversionFailed: The child process failed, or the cache cannot be written.
        EncoderClosed: It was abandoned.
    """
    abandoned = abandoned or threading.Event()
    key = text_digest(
        {
            "model": job.fingerprint,
            "converted": job.graph.graph.parent.name,
            "output": job.output.value,
            "quantizer": QUANTIZER_VERSION,
            "unquantized": job.unquantized,
            "texts": texts_digest(job.texts),
            "exact_int8": multiplies_int8(),
        }
    )[:32]
    entry = obtain_entry(cache_dir / "openvino-int8" / key, lambda into: _make(job, into, abandoned), abandoned)
    if entry.refusal:
        raise QuantizationFailed(
            f"int8 changes model {job.model.name} too much: {entry.refusal}. Use precision auto, bf16 or fp32, or"
            f" calibrate with texts of your own (int8_texts); the whole report is {entry.folder / 'report.json'}"
        )
    return ConvertedModel(entry.folder / "model.xml", job.graph.inputs, job.graph.bf16_cosine)


def int8_fingerprint(fingerprint: str, texts: Path) -> str:
    """The fingerprint of a model in int8: its vectors are too far from the original's to be searched together.

    It does not depend on the machine, so that replicas agree.
    """
    return text_digest(
        {"model": fingerprint, "precision": "int8", "quantizer": QUANTIZER_VERSION, "texts": texts_digest(texts)}
    )


def _make(job: QuantizationJob, into: Path, abandoned: threading.Event) -> str:
    read_quality_texts(job.texts)  # so that a bad file is named here, at once
    if importlib.util.find_spec("nncf") is None:
        raise QuantizationFailed(
            "int8 needs NNCF to quantise a model; install it with: pip install 'nncf>=3', or choose precision auto"
        )
    if not multiplies_int8():
        _log.warning("this processor has no instructions for int8 products (VNNI, AMX); int8 may be slow on it")
    started = time.monotonic()
    _log.info("quantising model %s to int8; this happens once", job.model.name)
    refusal = run_child(
        "trivium_encoders.quantize",
        [
            *("--model", str(job.model.folder), "--name", job.model.name, "--output", job.output.value),
            *("--graph", str(job.graph.graph), "--inputs", ",".join(job.graph.inputs), "--texts", str(job.texts)),
            *("--max-tokens", str(job.max_tokens), "--unquantized", job.unquantized),
        ],
        doing=f"quantising {job.model.name}",
        into=into,
        abandoned=abandoned,
    )
    _log.info("quantised model %s in %.1f s", job.model.name, time.monotonic() - started)
    return refusal
