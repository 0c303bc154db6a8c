"""A file within a file."""

from dataclasses import dataclass

from trivium_serving.errors import TriviumError

__all__ = ["UNPACKED", "WITHIN", "Part"]

UNPACKED = frozenset(("archive", "mail", "mailbox", "outlook", "tnef"))
"""The formats that may have files in them."""

WITHIN = "!/"
"""Stands in ids and names between a file and what is in it: `all.zip!/docs/a.pdf`."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file that is attached to a mail, or packed in an archive.

    Attributes:
        name: Its name, with the folders within the archive; unique among its like once it went through `unpacking`.
        media_type: As the mail declares it; may be empty.
        data: Its content.
        failure: Why it could not be unpacked, if it is an archive; it has no content then.
    """

    name: str
    media_type: str
    data: bytes
    failure: TriviumError | None = None
