"""Models in OpenVINO's form: converted once by a child process, and kept on disk."""

import logging
import threading
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from trivium_encoders.cache_entries import obtain_entry, read_entry
from trivium_encoders.children import run_child
from trivium_encoders.description import Family, ModelDescription
from trivium_encoders.digests import DigestCache, text_digest
from trivium_encoders.errors import ConversionFailed
from trivium_encoders.fingerprint import weights_digest

_log = logging.getLogger(__name__)

CONVERTER_VERSION = 1
"""Raise it when the converted form changes, so that no older entry is read."""


@dataclass(frozen=True, slots=True)
class ConvertedModel:
    """A transformer in OpenVINO's form."""

    graph: Path
    """The `model.xml`, with its `model.bin` beside it."""
    inputs: tuple[str, ...]
    """Names of the inputs, in order."""
    bf16_cosine: float
    """The least cosine of any output to torch's fp32 when computed in bf16, over the converter's sentences."""


def converted(
    model: ModelDescription,
    output_kind: str,
    cache_dir: Path,
    abandoned: threading.Event | None = None,
    prepared_dir: Path | None = None,
) -> ConvertedModel:
    """The converted transformer of a model: prepared, from the cache, or made now by a child process.

    Args:
        model: The model.
        output_kind: `hidden` for token embeddings, `logits` for a classification head.
        cache_dir: Where converted models are kept.
        abandoned: Set when nobody waits for it any more.
        prepared_dir: Where models that were converted before are looked for first.

    Raises:
        ConversionFailed: It cannot be converted; says why.
        EncoderClosed: It was abandoned.
    """
    abandoned = abandoned or threading.Event()

    def make(into: Path) -> str:
        started = time.monotonic()
        _log.info("converting model %s for OpenVINO; this happens once", model.name)
        refusal = run_child(
            "trivium_encoders.convert",
            ["--model", str(model.transformer_folder), "--output-kind", output_kind],
            doing=f"converting {model.name}",
            into=into,
            abandoned=abandoned,
        )
        if refusal:
            return f"model {model.name} cannot be converted for OpenVINO ({refusal}); use runtime torch"
        _log.info("converted model %s in %.1f s", model.name, time.monotonic() - started)
        return ""

    place = Path("openvino") / conversion_key(model, output_kind, cache_dir)
    entry = read_entry(prepared_dir / place) if prepared_dir else None
    if entry is None:
        entry = obtain_entry(cache_dir / place, make, abandoned)
    if entry.refusal:
        raise ConversionFailed(entry.refusal)
    cosine = float(entry.report["least_cosine"]["bf16"])
    return ConvertedModel(entry.folder / "model.xml", tuple(entry.report["inputs"]), cosine)


def output_kind(model: ModelDescription) -> str:
    """What a converted model computes: `logits` for a cross-encoder, else `hidden`."""
    return "logits" if model.family is Family.PAIR else "hidden"


def conversion_key(model: ModelDescription, output_kind: str, cache_dir: Path) -> str:
    """What a converted model is kept under: 32 hexadecimal digits over all that decides it."""
    parts = {
        "weights": weights_digest(model, DigestCache(cache_dir / "digests")),
        "output": output_kind,
        "converter": CONVERTER_VERSION,
        "openvino": version("openvino"),
    }
    return text_digest(parts)[:32]
