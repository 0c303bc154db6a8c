"""What lies in the data folder as it should not, and can be put right without losing anything."""

import contextlib
import fcntl
import hashlib
import json
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from trivium_client.doctor.findings import Finding, ok, warning
from trivium_client.stack.settings_file import FILE_NAME

_FIX = "`trivium doctor --fix` puts that right"
_FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something to be put right.

    Attributes:
        text: What is wrong.
        done: What was done once it is right.
        mend: Puts it right.
    """

    text: str
    done: str
    mend: Callable[[], None]


def find_leftovers(data_dir: Path) -> Iterator[Leftover]:
    """Looks at the settings file, and at the converted models, which can be made again."""
    settings = data_dir / FILE_NAME
    with contextlib.suppress(OSError):
        if settings.stat().st_mode & _FOR_OTHERS:
            yield Leftover(
                f"others on this machine may read {settings}, where keys stand",
                f"{settings} is for you alone",
                lambda: settings.chmod(stat.S_IRUSR | stat.S_IWUSR),
            )
    for folder in sorted((data_dir / "cache").glob("openvino*/*")):
        if not folder.is_dir():
            continue
        key, _, scratch = folder.name.partition(".")
        if scratch and not _is_locked(folder.with_name(f"{key}.lock")):
            yield Leftover(
                f"{folder} is what a conversion left that was killed",
                f"deleted {folder}",
                lambda folder=folder: shutil.rmtree(folder),  # type: ignore[misc]
            )
        elif not scratch and _is_damaged(folder):
            yield Leftover(
                f"the converted model {folder} is damaged",
                f"deleted {folder}; the next start converts the model again",
                lambda folder=folder: shutil.rmtree(folder),  # type: ignore[misc]
            )


def leftovers(environment: Mapping[str, str]) -> list[Finding]:
    found = list(find_leftovers(data_folder(environment)))
    return [warning("data folder", one.text, _FIX) for one in found] or [ok("data folder", "nothing lies about in it")]


def mend_leftovers(environment: Mapping[str, str]) -> list[str]:
    """Puts right what can be; returns what was done, or why it could not be."""
    told = []
    for one in list(find_leftovers(data_folder(environment))):
        try:
            one.mend()
            told.append(one.done)
        except OSError as error:
            told.append(f"{one.text}, and that cannot be changed: {error.strerror}")
    return told


def data_folder(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("TRIVIUM_DATA_DIR") or ".data")


def _is_locked(lock: Path) -> bool:
    """Whether a process holds a conversion's lock."""
    try:
        with lock.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _is_damaged(folder: Path) -> bool:
    """Whether a file of a converted model is not the one that was written."""
    try:
        listed = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]
        for name, digest in listed.items():
            with (folder / name).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                    return True
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return True
    return False
