"""How much may be in a file and come out of it."""

from dataclasses import dataclass

from trivium_serving.errors import InvalidField, TooLarge

__all__ = [
    "MAX_ATTACHMENT_DEPTH",
    "MAX_MEMBERS",
    "MAX_PARTS",
    "MAX_PARTS_BYTES",
    "MAX_UNPACKED_BYTES",
    "Bounds",
    "broken",
    "encrypted",
    "too_much",
]

MAX_MEMBERS = 20_000
"""Most files in a packed document."""
MAX_UNPACKED_BYTES = 256 * 1024 * 1024
"""Largest size of them all, unpacked."""
MAX_ATTACHMENT_DEPTH = 3
"""How deep mails and archives may be within each other."""
MAX_PARTS = 1_000
"""Most files attached to a mail or packed in an archive, those within them included."""
MAX_PARTS_BYTES = 64 * 1024 * 1024
"""Largest size of them all, unpacked."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may come out of a file.

    Attributes:
        max_pages: Most pages, slides, sheets, chapters or messages.
        max_characters: Longest text.
    """

    max_pages: int
    max_characters: int

    def check_pages(self, count: int, kind: str) -> None:
        """Refuse a file with too many pages, or what it has in their place.

        Raises:
            TooLarge: It has (DOCUMENT_TOO_LARGE).
        """
        if count > self.max_pages:
            raise too_much(f"{count} {kind}; at most {self.max_pages} are allowed")


def broken(what: str) -> InvalidField:
    """Say that a file is damaged."""
    return InvalidField("data", f"The file is damaged, or it is no {what}. Save it anew.", reason="FILE_BROKEN")


def encrypted(what: str = "file") -> InvalidField:
    """Say that a file needs a password, or a key."""
    return InvalidField("data", f"The {what} is encrypted. Save a copy that is not encrypted.", reason="FILE_ENCRYPTED")


def too_much(what: str) -> TooLarge:
    """Say that a file is over a bound."""
    return TooLarge(f"The file has {what}. Split it.", reason="DOCUMENT_TOO_LARGE")
