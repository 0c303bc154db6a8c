"""The page's files, read once into memory."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from trivium_formats import FORMATS, known_endings

from trivium_gateway.ingestion.formats.ocr import ocr_is_installed

_MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
INDEX = "index.html"
WORKER = "worker.js"
_ASKED_FOR = (INDEX, WORKER)  # at addresses without a version
_LATER = ("temml.js",)  # loaded when they are needed first
_PLAIN = ("text", "code")  # the formats that are shown as they are written


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is served.

    Attributes:
        content: Its bytes.
        compressed: The same by gzip.
        media_type: What it is.
        etag: Changes with its content; weak, for it is the same whether compressed or not.
    """

    content: bytes
    compressed: bytes
    media_type: str
    etag: str


@dataclass(frozen=True, slots=True)
class Assets:
    """All files of one version of the page.

    Attributes:
        version: Changes with any of them. It is part of their addresses, so that browsers may keep them for good and
            never mix those of two versions.
        by_name: The files.
    """

    version: str
    by_name: dict[str, Asset]


@cache
def load_assets(max_document_bytes: int) -> Assets:
    """Reads the page's files.

    Args:
        max_document_bytes: The largest document, which the page tells before it uploads a larger one.
    """
    folder = files(__package__) / "static"
    contents = {
        entry.name: entry.read_bytes()
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.rpartition(".")[2] in _MEDIA_TYPES
    }
    version = _digest(b"\0".join(name.encode() + b"\0" + content for name, content in contents.items()))
    modules = "".join(
        f'<link rel="modulepreload" href="page/{version}/{name}">'
        for name in contents
        if name.endswith(".js") and name not in (WORKER, *_LATER)
    )
    index = contents[INDEX].decode()
    marks = {
        "{version}": version,
        "{modules}": modules,
        "{max-bytes}": str(max_document_bytes),
        "{plain-endings}": " ".join(ending for one in FORMATS if one.name in _PLAIN for ending in one.endings),
        "{accept}": ",".join((*known_endings(*(("ocr",) if ocr_is_installed() else ())), "text/*")),
    }
    for mark, value in marks.items():
        index = index.replace(mark, value)
    contents[INDEX] = index.encode()
    cached = json.dumps([f"page/{version}/{name}" for name in contents if name not in _ASKED_FOR])
    contents[WORKER] = contents[WORKER].replace(b"{version}", version.encode()).replace(b'"{files}"', cached.encode())
    by_name = {name: _asset(name, content) for name, content in contents.items()}
    return Assets(version, by_name)


def _asset(name: str, content: bytes) -> Asset:
    media_type = _MEDIA_TYPES[name.rpartition(".")[2]]
    return Asset(content, gzip.compress(content, mtime=0), media_type, f'W/"{_digest(content)}"')


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
