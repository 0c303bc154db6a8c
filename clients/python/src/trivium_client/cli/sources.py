"""Turns what people name on the command line into documents: files, folders, and lines of JSON."""

import json
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from trivium_formats import known_endings

from trivium_client import InvalidRequest, NewDocument
from trivium_client._batches import MAX_DOCUMENT_BYTES, as_document
from trivium_client.cli.standard_input import FROM_STANDARD_INPUT, content

FILE_ENDINGS = frozenset(known_endings())
"""What is taken from folders. A file that is named itself is taken whatever its ending."""
LINES_ENDINGS = frozenset({".jsonl", ".ndjson"})
SIDECAR_ENDING = ".metadata.json"
"""Beside a file, of the same name and this: facts about it, as a JSON object."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a document comes from.

    Attributes:
        name: What people call it: the file, and the line in it.
        read: Reads it. Raises Unreadable.
    """

    name: str
    read: Callable[[], NewDocument]


class Unreadable(Exception):
    """A source that gives no document; says why."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Sources:
    """The documents beneath some paths, in the order of their names.

    Args:
        paths: Files and folders, which exist; `-` for lines of JSON on standard input.
        metadata: Facts about all of them. What a file's sidecar says of it comes after, and what a line of JSON says.

    Attributes:
        skipped: What was passed over in folders, by ending or kind.
    """

    def __init__(self, paths: Sequence[Path], metadata: Mapping[str, Any] | None = None) -> None:
        self.skipped: Counter[str] = Counter()
        self._metadata = metadata or {}
        self._files: list[tuple[Path, str]] = []
        self._lines: list[Path] = []
        for path in paths:
            if path.is_dir():
                self._files += self._in_folder(path)
            elif path.suffix.lower() in LINES_ENDINGS or str(path) == FROM_STANDARD_INPUT:
                self._lines.append(path)
            else:
                self._files.append((path, path.name))

    def count(self) -> int | None:
        """How many documents there are; None if that is known only when they have been read."""
        if Path(FROM_STANDARD_INPUT) in self._lines:
            return None
        return len(self._files) + sum(_count_lines(path) for path in self._lines)

    def __iter__(self) -> Iterator[Source]:
        first_with_id: dict[str, Path] = {}
        for path, document_id in self._files:
            first = first_with_id.setdefault(document_id, path)
            yield Source(str(path), _file_reader(path, document_id, first, self._metadata))
        for path in self._lines:
            yield from _lines(path, self._metadata)

    def _in_folder(self, folder: Path) -> Iterator[tuple[Path, str]]:
        for parent, folders, files in os.walk(folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(files):
                path = Path(parent, name)
                if is_sidecar(path):
                    continue
                if special := _special_kind(path):
                    self.skipped[special] += 1
                elif name.startswith(".") or path.suffix.lower() not in FILE_ENDINGS:
                    self.skipped[path.suffix.lower() or name] += 1
                else:
                    yield path, path.relative_to(folder).as_posix()


def _file_reader(path: Path, document_id: str, first: Path, metadata: Mapping[str, Any]) -> Callable[[], NewDocument]:
    def read() -> NewDocument:
        if path != first:
            raise Unreadable(
                "DUPLICATE_ID", f"{first} has the same id, {document_id}: name a folder that holds both, or rename one"
            )
        try:
            _check_not_special(path)
            size = path.stat().st_size
            if size > MAX_DOCUMENT_BYTES:
                raise Unreadable("TOO_LARGE", f"it has {size:,} bytes; at most {MAX_DOCUMENT_BYTES:,} can be sent")
            facts = {**metadata, **sidecar_of(path)}
            return replace(NewDocument.from_file(path, metadata=facts), default_id=document_id)
        except OSError as error:
            raise Unreadable("UNREADABLE", error.strerror or str(error)) from None

    return read


def is_sidecar(path: Path) -> bool:
    """Whether a file says something about another one beside it, and is no document."""
    return path.name.endswith(SIDECAR_ENDING) and Path(str(path).removesuffix(SIDECAR_ENDING)).exists()


def sidecar_of(path: Path) -> dict[str, Any]:
    """Read what `manual.pdf.metadata.json` says about `manual.pdf`, an object; nothing if it is not there.

    Raises:
        Unreadable: It cannot be read.
        OSError: The same.
    """
    sidecar = Path(f"{path}{SIDECAR_ENDING}")
    if not sidecar.is_file():
        return {}
    try:
        facts = json.loads(sidecar.read_bytes())
    except ValueError as error:
        raise Unreadable("INVALID_JSON", f"{sidecar.name} is not JSON: {error}") from None
    if not isinstance(facts, dict):
        raise Unreadable("INVALID_JSON", f"{sidecar.name} is not a JSON object")
    return facts


def _lines(path: Path, metadata: Mapping[str, Any]) -> Iterator[Source]:
    is_input = str(path) == FROM_STANDARD_INPUT
    name = "standard input" if is_input else str(path)
    if not is_input and _special_kind(path):
        yield Source(str(path), _file_reader(path, "", path, {}))
        return
    try:
        with nullcontext(content()) if is_input else path.open("rb") as file:
            for number, line in _numbered(file):
                yield Source(f"{name}:{number}", lambda line=line: _from_line(line, metadata))  # type: ignore[misc]
    except OSError as error:
        reason = error.strerror or str(error)
        yield Source(str(path), lambda: _refuse("UNREADABLE", reason))


def _from_line(line: bytes, metadata: Mapping[str, Any]) -> NewDocument:
    try:
        value = json.loads(line)
    except ValueError as error:
        _refuse("INVALID_JSON", f"not JSON: {error}")
    if not isinstance(value, dict):
        _refuse("INVALID_JSON", "not a JSON object")
    try:
        document = as_document(value)
    except InvalidRequest as error:
        _refuse(error.reason, error.message)
    if document.text is None:
        _refuse("INVALID_DOCUMENT", "the field text is missing")
    return replace(document, metadata={**metadata, **document.metadata}) if metadata else document


def _special_kind(path: Path) -> str | None:
    """What a path names that is no file, and might never end if it were read; None if it is a file, or not there."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return None  # which reading it will say
    return next((kind for is_kind, kind in _SPECIAL_KINDS if is_kind(mode)), None)


_SPECIAL_KINDS = (
    (stat.S_ISFIFO, "pipe"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
)


def _check_not_special(path: Path) -> None:
    if special := _special_kind(path):
        _refuse("NOT_A_FILE", f"it is a {special}; only files are read, and with - as PATH lines of JSON from a pipe")


def _refuse(reason: str, message: str) -> NoReturn:
    raise Unreadable(reason, message)


def _numbered(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers from 1."""
    for number, line in enumerate(file, 1):
        if line.strip():
            yield number, line


def _count_lines(path: Path) -> int:
    if _special_kind(path):
        return 1  # the refusal to read it
    try:
        with path.open("rb") as file:
            return sum(1 for _ in _numbered(file))
    except OSError:
        return 1  # the failure to read it
