"""Converted models on disk: made once, checked at every load."""

import fcntl
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from trivium_encoders.convert import REFUSED_STATUS
from trivium_encoders.description import ModelDescription
from trivium_encoders.digests import DigestCache, file_digest, text_digest
from trivium_encoders.errors import ConversionFailed
from trivium_encoders.fingerprint import weights_digest

_log = logging.getLogger(__name__)

CONVERTER_VERSION = 1
"""Raise it when the converted form changes, so that no older entry is read."""
_TIMEOUT_SECONDS = 1800
_MANIFEST = "manifest.json"
_FILES = ("model.xml", "model.bin", "report.json")


@dataclass(frozen=True, slots=True)
class ConvertedModel:
    """A transformer in OpenVINO's form."""

    graph: Path
    """The `model.xml`, with its `model.bin` beside it."""
    inputs: tuple[str, ...]
    """Names of the inputs, in order."""
    bf16_cosine: float
    """The least cosine of any output to torch's fp32 when computed in bf16, over the converter's sentences."""


def converted(model: ModelDescription, output_kind: str, cache_dir: Path) -> ConvertedModel:
    """The converted transformer of a model, from the cache or made now by a child process.

    Processes that ask at once wait for the one that converts. An entry whose files are not those that were written is
    made again.

    Args:
        model: The model.
        output_kind: `hidden` for token embeddings, `logits` for a classification head.
        cache_dir: Where converted models are kept.

    Raises:
        ConversionFailed: It cannot be converted; says why.
    """
    folder = cache_dir / "openvino"
    key = _key(model, output_kind, cache_dir)
    entry = folder / key
    found = _read(entry)
    if found:
        return found
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / f"{key}.lock"):
            return _read(entry) or _make(model, output_kind, entry)
    except OSError as error:
        raise ConversionFailed(
            f"the cache {folder} cannot be written ({error}); choose another cache folder"
        ) from error


def _key(model: ModelDescription, output_kind: str, cache_dir: Path) -> str:
    parts = {
        "weights": weights_digest(model, DigestCache(cache_dir / "digests")),
        "output": output_kind,
        "converter": CONVERTER_VERSION,
        "openvino": version("openvino"),
    }
    return text_digest(parts)[:32]


def _read(entry: Path) -> ConvertedModel | None:
    """The entry, if it is whole; None if it is missing or damaged."""
    try:
        manifest = json.loads((entry / _MANIFEST).read_text())
        if manifest.get("refusal"):
            raise ConversionFailed(manifest["refusal"])
        damaged = [name for name, digest in manifest["files"].items() if file_digest(entry / name) != digest]
        report = json.loads((entry / "report.json").read_text())
        if not damaged:
            cosine = float(report["least_cosine"]["bf16"])
            return ConvertedModel(entry / "model.xml", tuple(report["inputs"]), cosine)
    except FileNotFoundError:
        if not entry.exists():
            return None
        damaged = ["a missing file"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        damaged = [str(error)]
    _log.warning("converted model %s is damaged (%s); converting again", entry, ", ".join(damaged))
    return None


def _make(model: ModelDescription, output_kind: str, entry: Path) -> ConvertedModel:
    """Converts in a child process and moves the result into place in one step; the caller holds the lock."""
    started = time.monotonic()
    _log.info("converting model %s for OpenVINO; this happens once", model.name)
    with tempfile.TemporaryDirectory(prefix=f"{entry.name}.", dir=entry.parent) as scratch:
        made = Path(scratch) / "entry"
        made.mkdir()
        refusal = _run_child(model, output_kind, made)
        files = {} if refusal else {name: file_digest(made / name) for name in _FILES}
        (made / _MANIFEST).write_text(json.dumps({"model": model.name, "files": files, "refusal": refusal}))
        if entry.exists():
            shutil.rmtree(entry)
        made.rename(entry)
    found = _read(entry)
    if found is None:
        raise ConversionFailed(f"the converted model {entry} is damaged right after it was written; check the disk")
    _log.info("converted model %s in %.1f s", model.name, time.monotonic() - started)
    return found


def _run_child(model: ModelDescription, output_kind: str, into: Path) -> str:
    """Runs the converter; returns why it refused, or nothing."""
    command = [sys.executable, "-m", "trivium_encoders.convert", "--model", str(model.transformer_folder)]
    command += ["--output-kind", output_kind, "--into", str(into)]
    environment = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
    }
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ConversionFailed(
            f"converting {model.name} took more than {_TIMEOUT_SECONDS} s; use runtime torch"
        ) from error
    if done.returncode == REFUSED_STATUS:
        reason = json.loads((into / "refusal.json").read_text())["reason"]
        return f"model {model.name} cannot be converted for OpenVINO ({reason}); use runtime torch"
    if done.returncode != 0:
        last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "it said nothing")
        raise ConversionFailed(f"converting {model.name} ended with status {done.returncode}: {last.strip()}")
    return ""


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds an exclusive lock among processes and threads; released by the system if the holder dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
