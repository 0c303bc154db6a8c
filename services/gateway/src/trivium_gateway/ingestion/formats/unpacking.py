"""What is in mails and archives, as files of their own: mails and archives within them, too, as deep as is allowed."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from trivium_serving.errors import InvalidField, TooLarge, TriviumError

from trivium_gateway.ingestion.formats.archives import Budget, archive_parts
from trivium_gateway.ingestion.formats.attached import UNPACKED, WITHIN, Part
from trivium_gateway.ingestion.formats.bounds import (
    MAX_ATTACHMENT_DEPTH,
    MAX_PARTS,
    MAX_PARTS_BYTES,
    broken,
)
from trivium_gateway.ingestion.formats.mail import mail_parts, mailbox_parts
from trivium_gateway.ingestion.formats.outlook import outlook_parts
from trivium_gateway.ingestion.formats.recognition import recognise
from trivium_gateway.ingestion.formats.tnef import tnef_parts

__all__ = ["unpack"]

_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(slots=True)
class _Unpacking:
    budget: Budget

    def parts(self, format_name: str, data: bytes, name: str, depth: int) -> Iterator[Part]:
        names: set[str] = set()
        for part in self._within(format_name, data, name):
            path = _unique(_clean(part.name) or "attachment", names)
            named = replace(part, name=path)
            inner = _format_of(named)
            is_opened = inner in UNPACKED and depth < MAX_ATTACHMENT_DEPTH
            if inner != "archive" or not is_opened:
                yield named
            if is_opened:
                spent = self.budget.spent
                try:
                    within = list(self.parts(inner, part.data, path.rpartition("/")[2], depth + 1))
                except (InvalidField, TooLarge) as error:
                    self.budget.spent, within = spent, []
                    if inner == "archive":
                        yield replace(named, data=b"", failure=error)
                    elif inner != "tnef" or isinstance(error, TooLarge):  # which fails as a document of its own
                        raise
                for each in within:
                    yield replace(each, name=f"{path}{WITHIN}{each.name}")

    def _within(self, format_name: str, data: bytes, name: str) -> Iterable[Part]:
        if format_name == "archive":
            yield from archive_parts(data, name, self.budget)
            return
        readers: dict[str, Callable[[bytes], list[Part]]] = {
            "mail": mail_parts, "mailbox": mailbox_parts, "outlook": outlook_parts,
            "tnef": tnef_parts,
        }  # fmt: skip
        for part in readers[format_name](data):
            self.budget.take_part()
            self.budget.take_bytes(len(part.data))
            yield part


def unpack(format_name: str, data: bytes, name: str) -> list[Part]:
    """Take the files out of a mail or an archive.

    Args:
        format_name: One of `UNPACKED`.
        data: The file.
        name: Its own name; may be empty.

    Returns:
        The files, those in mails and archives among them, too, under names that are unique.

    Raises:
        InvalidField: It is damaged (FILE_BROKEN) or needs a password (FILE_ENCRYPTED).
        TooLarge: It is over a bound (DOCUMENT_TOO_LARGE).
    """
    try:
        return list(_Unpacking(Budget(len(data), MAX_PARTS_BYTES, MAX_PARTS)).parts(format_name, data, name, 1))
    except (TriviumError, MemoryError):
        raise
    except Exception as error:  # the edge to parsers, which raise anything on damaged files
        raise broken(format_name) from error


def _format_of(part: Part) -> str:
    try:
        return recognise(part.data, part.name, part.media_type).name
    except InvalidField:
        return ""  # it is refused by name as a document


def _clean(name: str) -> str:
    """Give a name that leads nowhere: without a drive, without `..`, with slashes."""
    pieces = _CONTROLS.sub("", name).replace("\\", "/").split("/")
    return "/".join(piece for piece in pieces if piece not in ("", ".", "..") and not re.fullmatch(r"[A-Za-z]:", piece))


def _unique(name: str, names: set[str]) -> str:
    """Number a name that comes again."""
    number, unique = 1, name
    stem, dot, ending = name.rpartition(".")
    while unique in names:
        number += 1
        unique = f"{stem} ({number}).{ending}" if dot else f"{name} ({number})"
    names.add(unique)
    return unique
