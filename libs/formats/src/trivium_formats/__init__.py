"""The formats of files that Trivium reads, and those that it refuses by name, as data.

The gateway recognises files by it, `trivium ingest` and the page choose files by it, and `docs/formats.md` shows it. It
needs nothing but the standard library.
"""

from trivium_formats.entries import FORMATS, Format, format_named, known_endings, names_of_formats
from trivium_formats.refusals import REFUSALS, Refusal, refusal_named

__all__ = [
    "FORMATS",
    "REFUSALS",
    "Format",
    "Refusal",
    "format_named",
    "known_endings",
    "names_of_formats",
    "refusal_named",
]
