"""Turns what people name on the command line into documents: files, folders, and lines of JSON."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from trivium_client import InvalidRequest, NewDocument
from trivium_client._batches import MAX_DOCUMENT_BYTES, as_document
from trivium_client._files import FILE_ENDINGS, Unreadable, is_sidecar, sidecar_of, special_kind
from trivium_client._sending import Source
from trivium_client.cli.standard_input import FROM_STANDARD_INPUT, content

LINES_ENDINGS = frozenset({".jsonl", ".ndjson"})


class Sources:
    """The documents beneath some paths, in the order of their names.

    Args:
        paths: Files and folders, which exist; `-` for lines of JSON on standard input.
        metadata: Facts about all of them. What a file's sidecar says of it comes after, and what a line of JSON says.
        readers: Who may read them, unless a line of JSON says so; see `NewDocument`.

    Attributes:
        skipped: What was passed over in folders, by ending or kind.
    """

    def __init__(
        self, paths: Sequence[Path], metadata: Mapping[str, Any] | None = None, readers: Sequence[str] = ()
    ) -> None:
        self.skipped: Counter[str] = Counter()
        self._given = NewDocument(metadata=metadata or {}, readers=readers)
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
            yield Source(str(path), _file_reader(path, document_id, first, self._given))
        for path in self._lines:
            yield from _lines(path, self._given)

    def _in_folder(self, folder: Path) -> Iterator[tuple[Path, str]]:
        for parent, folders, files in os.walk(folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(files):
                path = Path(parent, name)
                if is_sidecar(path):
                    continue
                if special := special_kind(path):
                    self.skipped[special] += 1
                elif name.startswith(".") or path.suffix.lower() not in FILE_ENDINGS:
                    self.skipped[path.suffix.lower() or name] += 1
                else:
                    yield path, path.relative_to(folder).as_posix()


def _file_reader(path: Path, document_id: str, first: Path, given: NewDocument) -> Callable[[], NewDocument]:
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
            facts = {**given.metadata, **sidecar_of(path)}
            document = NewDocument.from_file(path, metadata=facts)
            return replace(document, default_id=document_id, readers=given.readers)
        except OSError as error:
            raise Unreadable("UNREADABLE", error.strerror or str(error)) from None

    return read


def _lines(path: Path, given: NewDocument) -> Iterator[Source]:
    is_input = str(path) == FROM_STANDARD_INPUT
    name = "standard input" if is_input else str(path)
    if not is_input and special_kind(path):
        yield Source(str(path), _file_reader(path, "", path, given))
        return
    try:
        with nullcontext(content()) if is_input else path.open("rb") as file:
            for number, line in _numbered(file):
                yield Source(f"{name}:{number}", lambda line=line: _from_line(line, given))  # type: ignore[misc]
    except OSError as error:
        reason = error.strerror or str(error)
        yield Source(str(path), lambda: _refuse("UNREADABLE", reason))


def _from_line(line: bytes, given: NewDocument) -> NewDocument:
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
    return replace(
        document, metadata={**given.metadata, **document.metadata}, readers=document.readers or given.readers
    )


def _check_not_special(path: Path) -> None:
    if special := special_kind(path):
        _refuse("NOT_A_FILE", f"it is a {special}; only files are read, and with - as PATH lines of JSON from a pipe")


def _refuse(reason: str, message: str) -> NoReturn:
    raise Unreadable(reason, message)


def _numbered(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers from 1."""
    for number, line in enumerate(file, 1):
        if line.strip():
            yield number, line


def _count_lines(path: Path) -> int:
    if special_kind(path):
        return 1  # the refusal to read it
    try:
        with path.open("rb") as file:
            return sum(1 for _ in _numbered(file))
    except OSError:
        return 1  # the failure to read it
