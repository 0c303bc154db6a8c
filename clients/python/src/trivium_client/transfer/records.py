"""What the files of exported collections have in common."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trivium_client._errors import InvalidRequest
from trivium_client._transfers import ExportedCollection

__all__ = ["FORMAT_VERSION", "Totals", "collection_from", "collection_json", "damaged"]

FORMAT_VERSION = 1
"""Raise it when an earlier version could not read the file."""

_FIELDS: Mapping[str, type] = {
    "name": str,
    "model": str,
    "model_fingerprint": str,
    "dimension": int,
    "has_vectors": bool,
    "chunk_count": int,
}


@dataclass(slots=True)
class Totals:
    """How much there is in a file.

    Attributes:
        documents: Documents.
        pieces: Pieces of them, with their vectors.
    """

    documents: int = 0
    pieces: int = 0


def damaged(path: Path, where: str, why: str) -> InvalidRequest:
    """The error for a file that is not as it was written."""
    return InvalidRequest(
        f"{path}{where} is not as it was exported: {why}. Nothing more of it is imported; export it anew, or take "
        "another copy",
        reason="EXPORT_DAMAGED",
    )


def collection_json(collection: ExportedCollection) -> dict[str, Any]:
    """What a file says of where its documents come from."""
    return {
        **{name: getattr(collection, name) for name in _FIELDS},
        "settings": None if collection.settings is None else dict(collection.settings),
    }


def collection_from(told: Any, path: Path) -> ExportedCollection:
    """Reads what `collection_json` wrote.

    Raises:
        InvalidRequest: It is something else.
    """
    if not isinstance(told, dict) or told.get("trivium_export") != FORMAT_VERSION:
        version = told.get("trivium_export") if isinstance(told, dict) else None
        raise InvalidRequest(
            f"{path} is no export that this version reads"
            + ("" if version is None else f": its version is {version}, and not {FORMAT_VERSION}"),
            reason="EXPORT_DAMAGED",
        )
    given = told.get("collection")
    if not isinstance(given, dict) or not all(isinstance(given.get(name), kind) for name, kind in _FIELDS.items()):
        raise damaged(path, "", "it does not say what it comes from")
    settings = given.get("settings")
    return ExportedCollection(
        **{name: given[name] for name in _FIELDS}, settings=settings if isinstance(settings, dict) else None
    )


def first_line(collection: ExportedCollection) -> str:
    """What a file begins with, as JSON."""
    return json.dumps({"trivium_export": FORMAT_VERSION, "collection": collection_json(collection)}, ensure_ascii=False)
