"""Entries of the cache of models on disk: made once, checked at every load."""

import fcntl
import json
import logging
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trivium_encoders.digests import file_digest
from trivium_encoders.errors import ConversionFailed, EncoderClosed

_log = logging.getLogger(__name__)

_MANIFEST = "manifest.json"
_REPORT = "report.json"
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Entry:
    """A whole entry: every file is the one that was written."""

    folder: Path
    """Where its files are."""
    report: dict[str, Any]
    """What its maker said about it; empty if it said nothing."""
    refusal: str
    """Why there is no model in it; empty when there is one."""


def obtain_entry(folder: Path, make: Callable[[Path], str], abandoned: threading.Event) -> Entry:
    """An entry from the cache, or made now.

    Processes that ask at once wait for the one that makes it. An entry that is damaged is made again.

    Args:
        folder: The entry's folder; its name is the key of all that decides the content.
        make: Writes the files into the folder that it is given, with a `report.json`, and returns why it refused, or
            nothing. The folder is moved into place in one step.
        abandoned: Set when nobody waits for it any more.

    Raises:
        ConversionFailed: The cache cannot be written.
        EncoderClosed: It was abandoned.
    """
    found = read_entry(folder)
    if found:
        return found
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.parent / f"{folder.name}.lock", abandoned):
            found = read_entry(folder)
            if found:
                return found
            _write(folder, make)
    except OSError as error:
        raise ConversionFailed(
            f"the cache {folder.parent} cannot be written ({error}); choose another cache folder"
        ) from error
    found = read_entry(folder)
    if found is None:
        raise ConversionFailed(f"the converted model {folder} is damaged right after it was written; check the disk")
    return found


def read_entry(folder: Path) -> Entry | None:
    """The entry, if it is whole; None if it is missing or damaged."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text())
        damaged = [name for name, digest in manifest["files"].items() if file_digest(folder / name) != digest]
        if not damaged:
            report = json.loads((folder / _REPORT).read_text()) if _REPORT in manifest["files"] else {}
            return Entry(folder, report, str(manifest.get("refusal") or ""))
    except FileNotFoundError:
        if not folder.exists():
            return None
        damaged = ["a missing file"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        damaged = [str(error)]
    _log.warning("converted model %s is damaged (%s); converting again", folder, ", ".join(damaged))
    return None


def _write(folder: Path, make: Callable[[Path], str]) -> None:
    """Has an entry made aside and moves it into place in one step; the caller holds the lock."""
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=folder.parent) as scratch:
        made = Path(scratch) / "entry"
        made.mkdir()
        refusal = make(made)
        files = {path.name: file_digest(path) for path in sorted(made.iterdir())}
        (made / _MANIFEST).write_text(json.dumps({"files": files, "refusal": refusal}))
        if folder.exists():
            shutil.rmtree(folder)
        made.rename(folder)


@contextmanager
def _locked(path: Path, abandoned: threading.Event) -> Iterator[None]:
    """Holds an exclusive lock among processes and threads; released by the system if the holder dies."""
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if abandoned.wait(_POLL_SECONDS):
                    raise EncoderClosed("the load was abandoned while another process converted the model") from None
        yield
